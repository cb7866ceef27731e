import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.datasets.picture_graph import picture_graph
from nestling_core.execution.session import SessionError
from nestling_core.media.errors import MediaError
from nestling_core.media.front_end import PictureFrontEnd


def front_end(*shape: int) -> PictureFrontEnd:
    signature = Signature(shape=shape, media="picture")
    return PictureFrontEnd(picture_graph(signature), signature)


def test_picture_of_the_right_size_is_not_changed() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)

    levels = front_end(3, 12, 20).levels(pixels)

    np.testing.assert_array_equal(levels, pixels.transpose(2, 0, 1))


def test_middle_with_the_wanted_proportions_is_kept() -> None:
    pixels = np.zeros((8, 20, 3), np.uint8)
    pixels[:, 6:14] = 200  # the middle square

    assert (front_end(3, 4, 4).levels(pixels) == 200).all()
    assert (front_end(3, 4, 4).levels(pixels.transpose(1, 0, 2).copy()) == 200).all()


def test_making_a_picture_smaller_averages_over_all_its_pixels() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255

    levels = front_end(3, 8, 8).levels(stripes)

    assert np.abs(levels.astype(int) - 127).max() <= 24  # without it, every pixel is 0 or 255


def test_single_channel_is_the_luma() -> None:
    colors = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], np.uint8)

    assert front_end(1, 1, 4).levels(colors).tolist() == [[[76, 150, 29, 90]]]


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2), (240, 320)])
def test_picture_of_any_size_becomes_an_input(size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 51, np.uint8)

    found = front_end(3, 16, 24).input_of(pixels)

    assert found.shape == (3, 16, 24)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32(51) / np.float32(255))


def test_graph_of_another_shape_is_refused() -> None:
    graph = picture_graph(Signature(shape=[3, 8, 8]))

    with pytest.raises(MediaError, match="the task takes"):
        PictureFrontEnd(graph, Signature(shape=[3, 9, 9]))
    with pytest.raises(SessionError):
        PictureFrontEnd(b"no graph", Signature(shape=[3, 8, 8]))
