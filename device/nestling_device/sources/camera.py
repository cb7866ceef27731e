"""A Raspberry Pi camera through picamera2: one picture an input."""

import importlib
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nestling_device.sources.source import Input, SourceError, Windows

_log = logging.getLogger(__name__)

# The camera's processor scales no smaller than this; the rest of the way is averaging.
_SMALLEST_SIDE = 64
# After so many failures in a row the device ends; its restart opens the camera again.
_MOST_FAILURES = 10
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


def open_camera(wanted: str = "") -> Picamera:
    """Open a camera.

    Args:
        wanted: its number or its model, such as imx708; "" for the only one.

    Raises:
        SourceError: picamera2 is not installed, there is no such camera, or more than one fits.
    """
    try:
        picamera2 = importlib.import_module("picamera2")  # optional, so not at the top
    except ImportError as err:
        raise SourceError(
            "the camera needs picamera2: apt install python3-picamera2 and a venv made with "
            "--system-site-packages, or pip install 'nestling[camera]'"
        ) from err
    try:
        number = choose_camera(picamera2.Picamera2.global_camera_info(), wanted)
        camera: Picamera = picamera2.Picamera2(number)
    except (RuntimeError, IndexError, OSError) as err:
        raise SourceError(
            f"no camera: {err}; check the ribbon cable and rpicam-hello --list-cameras"
        ) from err
    return camera


def choose_camera(cameras: Sequence[Mapping[str, Any]], wanted: str = "") -> int:
    """Choose one of the cameras that libcamera lists.

    Unless one is named, a camera on a ribbon cable takes precedence over those on USB.

    Args:
        cameras: as `Picamera2.global_camera_info` has them, with Num, Model and Id.
        wanted: number or model, "" for none in particular.

    Returns:
        Its number.

    Raises:
        SourceError: there is none, or not exactly one that fits.
    """
    fitting = [one for one in cameras if wanted in {"", str(one["Num"]), str(one.get("Model"))}]
    if not wanted:
        fitting = [one for one in fitting if "usb" not in str(one.get("Id")).lower()] or fitting
    if len(fitting) == 1:
        return int(fitting[0]["Num"])
    listed = ", ".join(f"{one['Num']} ({one.get('Model')})" for one in cameras)
    if not listed:
        raise SourceError("no camera: check the ribbon cable and rpicam-hello --list-cameras")
    raise SourceError(
        f"{'no' if not fitting else 'more than one'} camera {wanted or 'to choose from'}: there "
        f"are {listed}; give a number or a model as [source] camera"
    )


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
        self._failures = 0
        self._closed = threading.Event()

    def take(self, timeout_s: float) -> Input | None:
        """Take a picture, as soon as the camera has the next one; None where that failed.

        Raises:
            SourceError: ten pictures in a row failed.
        """
        try:
            window = to_window(self._camera.capture_array("main"), self._shape)
        except (RuntimeError, OSError, ValueError, ZeroDivisionError) as err:
            self._failures += 1
            if self._failures == _MOST_FAILURES:
                raise SourceError(
                    f"the camera gives no picture: {err}; check the ribbon cable and "
                    "rpicam-hello --list-cameras"
                ) from err
            _log.warning("a picture is left out: %s", err)
            self._closed.wait(timeout_s)
            return None
        self._failures = 0
        return Input(window=window)

    def settle(self, line: str) -> None:
        """Nothing waits for it."""

    def refuse(self, reason: str) -> None:
        """Nothing waits for it."""

    def close(self) -> None:
        """Let go of the camera."""
        self._closed.set()
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
