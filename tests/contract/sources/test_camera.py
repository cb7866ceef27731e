"""A camera as a source."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.datasets.picture_graph import picture_graph
from nestling_core.media.front_end import PictureFrontEnd
from nestling_device.sources.camera import Camera, choose_camera
from nestling_device.sources.source import Source, SourceError, Windows
from tests.support.source_contract import Fed, SourceContract


class SimulatedCamera:
    """A fake of picamera2: pictures of one color, with columns padded as by the ISP."""

    def __init__(self) -> None:
        self.colour = (0, 0, 0)
        self.size = (0, 0)
        self.format = ""
        self.closed = 0

    def create_video_configuration(self, *, main: dict[str, Any]) -> dict[str, Any]:
        return main

    def configure(self, camera_config: dict[str, Any]) -> None:
        self.size, self.format = camera_config["size"], camera_config["format"]

    def start(self) -> None:
        pass

    def capture_array(self, name: str = "main") -> NDArray[np.uint8]:
        width, height = self.size
        picture = np.zeros((height, width + 2, 3), np.uint8)
        picture[:, :width] = self.colour
        return picture

    def close(self) -> None:
        self.closed += 1


class FedCamera:
    shape = (3, 4, 8)

    def __init__(self) -> None:
        self.camera = SimulatedCamera()
        self.source: Source = Camera(self.camera, self.shape)

    def feed(self, number: int) -> Windows:
        self.camera.colour = (51 * number, 0, 255)
        return np.stack([np.full((4, 8), value, np.float32) for value in (number / 5, 0, 1)])


class TestCamera(SourceContract):
    @pytest.fixture
    def fed(self) -> Fed:
        return FedCamera()


def test_gray_picture_weights_colors_by_luminance() -> None:
    camera = SimulatedCamera()
    camera.colour = (255, 0, 0)

    taken = Camera(camera, (1, 28, 28)).take(0)

    assert taken is not None
    np.testing.assert_allclose(taken.window, np.full((1, 28, 28), 0.299), rtol=1e-5)


def test_camera_captures_a_whole_multiple_of_the_shape() -> None:
    camera = SimulatedCamera()
    Camera(camera, (1, 28, 28))

    assert camera.size == (84, 84)
    assert camera.format == "BGR888"


class FailingCamera(SimulatedCamera):
    """A camera whose first captures fail.

    Args:
        failures: how many fail.
    """

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def capture_array(self, name: str = "main") -> NDArray[np.uint8]:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the pipeline has stopped")
        return super().capture_array(name)


def test_failed_picture_is_skipped_and_the_next_one_is_taken() -> None:
    source = Camera(FailingCamera(9), (1, 28, 28))

    assert [source.take(0) for _ in range(9)] == [None] * 9
    assert source.take(0) is not None


def test_camera_that_keeps_failing_ends_the_source() -> None:
    source = Camera(FailingCamera(99), (1, 28, 28))
    for _ in range(9):
        source.take(0)

    with pytest.raises(SourceError, match="no picture: the pipeline has stopped"):
        source.take(0)


RIBBON = {"Num": 0, "Model": "imx708", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a"}
RIBBON_TOO = {"Num": 1, "Model": "imx219", "Id": "/base/soc/i2c0mux/i2c@0/imx219@10"}
USB = {"Num": 0, "Model": "HD Webcam", "Id": "/base/scb/pcie@7d500000/usb@1,0-1:1.0-046d:0825"}


@pytest.mark.parametrize(
    ("cameras", "wanted", "number"),
    [
        ([RIBBON], "", 0),
        ([USB], "", 0),
        ([USB, RIBBON_TOO], "", 1),
        ([RIBBON, RIBBON_TOO], "imx219", 1),
        ([RIBBON, RIBBON_TOO], "0", 0),
        ([USB, RIBBON_TOO], "HD Webcam", 0),
    ],
)
def test_requested_camera_is_chosen(
    cameras: list[dict[str, Any]], wanted: str, number: int
) -> None:
    assert number == choose_camera(cameras, wanted)


@pytest.mark.parametrize(
    ("cameras", "wanted", "message"),
    [
        ([], "", "check the ribbon cable"),
        ([RIBBON, RIBBON_TOO], "", r"0 \(imx708\), 1 \(imx219\); give a number or a model"),
        ([RIBBON], "imx219", "no camera imx219"),
    ],
)
def test_missing_or_ambiguous_camera_is_rejected(
    cameras: list[dict[str, Any]], wanted: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        choose_camera(cameras, wanted)


@pytest.mark.parametrize("shape", [(6, 100), (2, 28, 28)])
def test_task_without_pictures_is_rejected_and_the_camera_is_closed(
    shape: tuple[int, ...],
) -> None:
    camera = SimulatedCamera()

    with pytest.raises(SourceError, match="a camera gives"):
        Camera(camera, shape)
    assert camera.closed == 1


def test_picture_is_scaled_by_the_bundles_graph_without_the_padding() -> None:
    signature = Signature(shape=[3, 4, 8], media="picture")
    front_end = PictureFrontEnd(picture_graph(signature), signature)
    camera = SimulatedCamera()
    source = Camera(camera, (3, 4, 8), lambda: front_end)
    camera.colour = (51, 102, 255)

    taken = source.take(1.0)

    assert taken is not None
    np.testing.assert_array_equal(taken.window[:, 0, -1], np.array([0.2, 0.4, 1], np.float32))
    assert np.ptp(taken.window, axis=(1, 2)).max() == 0
