"""A Raspberry Pi camera through picamera2: one picture an input."""

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nestling_device.sources.source import SourceError, Windows

# The camera's processor scales no smaller than this; the rest of the way is averaging.
_SMALLEST_SIDE = 64
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class Picamera(Protocol):
    """The part of `picamera2.Picamera2` that is used."""

    def create_video_configuration(self, *, main: dict[str, Any]) -> Any:
        """Describe a stream."""
        ...

    def configure(self, camera_config: Any) -> Any:
        """Take a description."""
        ...

    def start(self) -> Any:
        """Begin to stream."""
        ...

    def capture_array(self, name: str = "main") -> NDArray[np.uint8]:
        """Wait for a picture, (height, width, 3)."""
        ...

    def close(self) -> None:
        """Let go of the camera."""
        ...


def open_camera() -> Picamera:
    """Open the first camera.

    Raises:
        SourceError: picamera2 is not installed, or there is no camera.
    """
    try:
        picamera2 = importlib.import_module("picamera2")  # optional, so not at the top
    except ImportError as err:
        raise SourceError(
            "the camera needs picamera2: apt install python3-picamera2 and a venv made with "
            "--system-site-packages, or pip install 'nestling[camera]'"
        ) from err
    try:
        camera: Picamera = picamera2.Picamera2()
    except (RuntimeError, IndexError, OSError) as err:
        raise SourceError(
            f"no camera: {err}; check the ribbon cable and rpicam-hello --list-cameras"
        ) from err
    return camera


class Camera:
    """Gives pictures (1 or 3, height, width), values 0 to 1, red first."""

    live = False

    def __init__(self, camera: Picamera, shape: Sequence[int]) -> None:
        """Start the camera.

        Args:
            camera: closed with the source.
            shape: of the task's inputs.

        Raises:
            SourceError: the task takes no pictures.
        """
        if len(shape) != 3 or shape[0] not in {1, 3}:
            camera.close()
            raise SourceError(
                f"the task takes float32 {tuple(shape)}; a camera gives (1 or 3, height, width)"
            )
        self._camera = camera
        self._shape = tuple(shape)
        _, height, width = self._shape
        factor = -(-_SMALLEST_SIDE // min(height, width))
        # "BGR888" is libcamera's name for what lies in memory as red, green, blue.
        main = {"size": (width * factor, height * factor), "format": "BGR888"}
        camera.configure(camera.create_video_configuration(main=main))
        camera.start()

    def take(self, timeout_s: float) -> Windows | None:
        """Take a picture, as soon as the camera has the next one."""
        del timeout_s
        return to_window(self._camera.capture_array("main"), self._shape)

    def settle(self, line: str) -> None:
        """Nothing waits for it."""

    def close(self) -> None:
        """Let go of the camera."""
        self._camera.close()


def to_window(picture: NDArray[np.uint8], shape: Sequence[int]) -> Windows:
    """Average a picture (h, w, 3 or more) down to (1 or 3, height, width), values 0 to 1.

    Args:
        picture: larger by one whole factor, its rows and columns perhaps padded.
        shape: wanted.
    """
    channels, height, width = shape
    factor = min(picture.shape[0] // height, picture.shape[1] // width)
    cut = picture[: height * factor, : width * factor, :3].astype(np.float32) / 255
    small = cut.reshape(height, factor, width, factor, 3).mean((1, 3))
    if channels == 1:
        return np.ascontiguousarray((small @ _LUMA)[None].astype(np.float32))
    return np.ascontiguousarray(small.transpose(2, 0, 1).astype(np.float32))
