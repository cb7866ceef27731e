import contextlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_core.parsing.untrusted_data import UnreadableError, load_arrays, parse_json


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe\xfd",
        b"NaN",
        b'{"timestamp": Infinity}',
        b"1e999",
        b"9" * 5000,
        b"9" * 400,
        b"\x00",
        b'"\xed\xa0\x80"',
    ],
)
def test_invalid_json_is_one_short_error(data: bytes) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse_json(data)

    assert len(str(caught.value)) < 300


def test_valid_json_is_parsed() -> None:
    assert parse_json(b'{"online": true, "n": [1, 2.5, null]}') == {
        "online": True,
        "n": [1, 2.5, None],
    }


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_unreadable(data: bytes) -> None:
    with contextlib.suppress(UnreadableError):
        parse_json(data)


def npz(header: bytes, size: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        archive.writestr("a.npy", array + bytes(size))
    return file.getvalue()


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    np.savez(path, a=np.arange(3))

    for source in (path, path.read_bytes()):
        assert load_arrays(source)["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04" + bytes(50),
        npz(b"{'descr': '<f4', 'fortran_order': False, 'shape': (10**15,)}"),
        npz(b"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999,)}"),
        npz(b"[" * 9000),
        npz(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
    ],
)
def test_invalid_array_file_is_one_error(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        load_arrays(data)


def test_small_file_with_huge_arrays_is_refused_before_it_is_unpacked() -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000,)}"

    with pytest.raises(UnreadableError, match="bytes of arrays"):
        load_arrays(npz(header, 10**6), most_bytes=10**5)
