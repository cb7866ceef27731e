"""An input's file holds exactly its values, and a damaged or hostile one is refused."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from nestling_cloud.inputs.input_file import (
    NPY,
    PNG,
    InputFileError,
    decode_input,
    encode_input,
    input_values,
)

SHAPES = st.one_of(hnp.array_shapes(min_dims=1, max_dims=3), st.just((3, 4, 5)))
PICTURES = st.sampled_from([(1, 4, 5), (3, 2, 7), (3, 1, 1)])


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(-1e6, 1e6, width=32)))
def test_any_input_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.float32]
) -> None:
    path = written(tmp_path_factory.mktemp("input"), values)

    read = decode_input(path, values.shape)

    assert read.dtype == np.float32
    # A picture is exact to the level; float32 has no exact n / 255.
    assert np.array_equal(read, values) or (path.suffix == PNG and abs(read - values).max() < 1e-5)


@given(PICTURES.flatmap(lambda shape: hnp.arrays(np.uint8, shape)))
def test_picture_of_8_bit_levels_is_a_png(
    tmp_path_factory: pytest.TempPathFactory, levels: NDArray[np.uint8]
) -> None:
    values = (levels / 255).astype(np.float32)

    path = written(tmp_path_factory.mktemp("input"), values)

    assert path.suffix == PNG
    assert np.array_equal(decode_input(path, values.shape), values)


def written(folder: Path, values: NDArray[np.float32]) -> Path:
    suffix, content = encode_input(values)
    path = folder / f"input{suffix}"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "values",
    [
        np.full((1, 4, 4), 0.5, np.float32),  # between two levels
        np.full((1, 4, 4), -1 / 255, np.float32),
        np.full((3, 4, 4), 256 / 255, np.float32),
        np.zeros((2, 4, 4), np.float32),
        np.zeros((6, 100), np.float32),
        np.full((1, 2, 2), np.nan, np.float32),
    ],
)
def test_anything_else_is_npy(values: NDArray[np.float32]) -> None:
    assert encode_input(values)[0] == NPY


def test_stored_values_must_fit_their_shape() -> None:
    assert input_values(np.arange(6, dtype="<f4").tobytes(), (2, 3)).shape == (2, 3)
    for values, shape in ((bytes(23), (2, 3)), (bytes(20), (2, 3)), (bytes(28), (2, 3))):
        with pytest.raises(InputFileError, match="no input of the shape"):
            input_values(values, shape)


def png(mode: str, size: tuple[int, int] = (5, 4)) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG")
    return file.getvalue()


def huge_png() -> bytes:
    """Return a PNG file whose header promises 60,000 by 60,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = png("RGB")
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def huge_npy() -> bytes:
    """Return a .npy file whose header promises a petabyte."""
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,), }"
    head = head.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head


def npy(values: NDArray[np.generic], *, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, values.astype(object) if pickled else values, allow_pickle=pickled)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", png("L"), r"shape \[1, 4, 5\]"),
        ("a.png", png("RGB", (4, 5)), r"shape \[3, 5, 4\]"),
        ("a.png", png("RGBA"), "kind RGBA"),
        ("a.png", png("P"), "kind P"),
        ("a.png", png("I;16"), "kind I"),
        ("a.png", png("RGB")[:45], "cannot be read"),
        ("a.png", huge_png(), "cannot be read|shape"),
        ("a.png", b"", "not a PNG"),
        ("a.png", b"GIF89a", "not a PNG"),
        ("a.npy", b"", "cannot be read"),
        ("a.npy", b"PK\x03\x04", "cannot be read"),
        ("a.npy", npy(np.zeros((3, 4, 5))), "not an array of float32"),
        ("a.npy", npy(np.zeros((3, 4, 6), np.float32)), r"shape \[3, 4, 6\]"),
        ("a.npy", npy(np.zeros((3, 4, 5), np.float32))[:-4], "cannot be read"),
        ("a.npy", npy(np.full((3, 4, 5), np.inf, np.float32)), "not finite"),
        ("a.npy", npy(np.zeros(3, np.float32), pickled=True), "cannot be read"),
        ("a.npy", huge_npy(), "cannot be read"),
        ("a.txt", b"1 2 3", "neither"),
    ],
)
def test_file_that_is_no_input_of_the_task_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InputFileError, match=message):
        decode_input(tmp_path / name, (3, 4, 5))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    for name in ("a.png", "a.npy"):
        with pytest.raises(InputFileError, match="No such file"):
            decode_input(tmp_path / name, (3, 4, 5))
