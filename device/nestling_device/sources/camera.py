"""Reads inputs from a Raspberry Pi camera through picamera2.

Each picture is one input.
"""

import importlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nestling_core.media.front_end import PictureFrontEnd
from nestling_device.sources.source import Input, Origin, SourceError, Windows

_log = logging.getLogger(__name__)

# Smallest side, in pixels, that the camera's processor scales to; the rest is done by averaging.
_SMALLEST_SIDE = 64
# After this many failures in a row the process ends; its restart opens the camera again.
_MOST_FAILURES = 10
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class Picamera(Protocol):
    """The methods of `picamera2.Picamera2` that are used here."""

    def create_video_configuration(self, *, main: dict[str, Any]) -> Any:
        """Return the configuration of a video stream."""
        ...

    def configure(self, camera_config: Any) -> Any:
        """Apply a configuration."""
        ...

    def start(self) -> Any:
        """Start streaming."""
        ...

    def capture_array(self, name: str = "main") -> NDArray[np.uint8]:
        """Wait for a picture and return it as an array (height, width, 3)."""
        ...

    def close(self) -> None:
        """Release the camera."""
        ...


def open_camera(wanted: str = "") -> Picamera:
    """Open a camera.

    Args:
        wanted: the number or model of the camera, such as imx708, or "" to choose one as
            `choose_camera` does.

    Raises:
        SourceError: picamera2 is not installed, no camera matches or more than one does, or the
            camera cannot be opened.
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
            f"no camera: {err}", advice="check the ribbon cable and rpicam-hello --list-cameras"
        ) from err
    return camera


def choose_camera(cameras: Sequence[Mapping[str, Any]], wanted: str = "") -> int:
    """Return the number of the camera to use.

    Unless a camera is named, cameras on USB are considered only if there is no other camera.

    Args:
        cameras: the result of `Picamera2.global_camera_info`: for each camera, a mapping with the
            keys Num, Model and Id.
        wanted: the number or model of the camera, or "" to name none.

    Returns:
        The number of the camera.

    Raises:
        SourceError: no camera matches, or more than one does.
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
        f"are {listed}",
        advice="give a number or a model as [source] camera",
    )


class Camera:
    """A source of pictures, float32 (1 or 3, height, width), with values from 0 to 1.

    Three channels are red, green and blue; a single channel is the luma (brightness).
    """

    live = False

    def __init__(
        self,
        camera: Picamera,
        shape: Sequence[int],
        front_end: Callable[[], PictureFrontEnd | None] = lambda: None,
    ) -> None:
        """Start the camera.

        Args:
            camera: the camera. The source closes it, even if the shape is refused.
            shape: the shape of the task's inputs.
            front_end: a function that returns what scales pictures in the bundle in use, or None if
                the bundle leaves it to the source.

        Raises:
            SourceError: the task's inputs are not pictures.
        """
        if len(shape) != 3 or shape[0] not in {1, 3}:
            camera.close()
            raise SourceError(
                f"the task takes float32 {tuple(shape)}",
                advice="a camera gives (1 or 3, height, width)",
            )
        self._camera = camera
        self._shape = tuple(shape)
        _, height, width = self._shape
        factor = -(-_SMALLEST_SIDE // min(height, width))
        # "BGR888" is libcamera's name for bytes in the order red, green, blue.
        self._size = (width * factor, height * factor)
        main = {"size": self._size, "format": "BGR888"}
        camera.configure(camera.create_video_configuration(main=main))
        camera.start()
        self._front_end = front_end
        self._failures = 0
        self._closed = threading.Event()

    def take(self, timeout_s: float) -> Input | None:
        """Wait for the camera's next picture and return it, or None if the camera fails.

        Args:
            timeout_s: the longest pause after a failure, in seconds. It does not limit the wait for
                the picture.

        Raises:
            SourceError: ten consecutive pictures failed.
        """
        try:
            window = self._window(self._camera.capture_array("main"))
        except (RuntimeError, OSError, ValueError, ZeroDivisionError) as err:
            self._failures += 1
            if self._failures == _MOST_FAILURES:
                raise SourceError(
                    f"the camera gives no picture: {err}",
                    advice="check the ribbon cable and rpicam-hello --list-cameras",
                ) from err
            _log.warning("a picture is skipped: %s", err)
            self._closed.wait(timeout_s)
            return None
        self._failures = 0
        return Input(window=window)

    def _window(self, picture: NDArray[np.uint8]) -> Windows:
        front_end = self._front_end()
        if front_end is None:
            return to_window(picture, self._shape)
        width, height = self._size  # what lies beyond is padding
        return front_end.input_of(np.ascontiguousarray(picture[:height, :width, :3]))

    def settle(self, line: str) -> None:
        """Do nothing, because no producer waits for the answer."""

    def revise(self, line: str, origin: Origin) -> None:
        """Do nothing, because no producer waits for the answer."""

    def refuse(self, reason: str) -> None:
        """Do nothing, because no producer waits for the answer."""

    def close(self) -> None:
        """Close the camera."""
        self._closed.set()
        self._camera.close()


def to_window(picture: NDArray[np.uint8], shape: Sequence[int]) -> Windows:
    """Scale a picture down to a window by averaging.

    Each pixel of the window is the mean of a square of pixels. The squares are as large as the
    picture allows. Remaining rows and columns, such as padding, are ignored.

    Args:
        picture: the picture, uint8 (h, w, c), at least as high and as wide as the window. The first
            three of its channels are red, green and blue; others are ignored.
        shape: the shape of the window, (1 or 3, height, width).

    Returns:
        The window, float32 (1 or 3, height, width), with values from 0 to 1. A single channel is
        the luma.
    """
    channels, height, width = shape
    factor = min(picture.shape[0] // height, picture.shape[1] // width)
    cut = picture[: height * factor, : width * factor, :3].astype(np.float32) / 255
    small = cut.reshape(height, factor, width, factor, 3).mean((1, 3))
    if channels == 1:
        return np.ascontiguousarray((small @ _LUMA)[None].astype(np.float32))
    return np.ascontiguousarray(small.transpose(2, 0, 1).astype(np.float32))
