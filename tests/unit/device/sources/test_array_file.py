"""Files of a watched folder that are no windows."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.fed_folder import FedFolder
from tests.support.processes import until
from tests.support.source_contract import SHAPE, save_and_append, window


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[FedFolder]:
    fed = FedFolder(tmp_path)
    yield fed
    fed.source.close()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 3, 2), np.float32),
        np.zeros(SHAPE, np.complex64),
        np.full(SHAPE, np.nan, np.float32),
        np.zeros((0, *SHAPE), np.float32),
        np.array([{"a": 1}], object),
    ],
    ids=["shape", "type", "nan", "none", "pickle"],
)
def test_bad_file_is_rejected_with_its_reason_and_the_next_one_is_answered(
    fed: FedFolder, array: NDArray[Any], caplog: pytest.LogCaptureFixture
) -> None:
    fed.save("a.npy", array)
    fed.save("b.npy", window(2))

    assert fed.answer() == 2
    until(lambda: fed.source.take(0.01) is None and fed.names("rejected") == {"a.npy"})
    assert "a.npy" in caplog.text


def test_header_that_states_more_than_memory_holds_is_a_bad_file(
    fed: FedFolder, caplog: pytest.LogCaptureFixture
) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 2, 3), }\n"
    magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    (fed.folder / "a.npy").write_bytes(magic + header)

    until(lambda: fed.source.take(0.01) is None and fed.names("rejected") == {"a.npy"})
    assert "not a readable .npy file" in caplog.text


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (lambda path: path.symlink_to(path.name), "symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.mkdir(), "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (save_and_append, "more bytes follow"),
    ],
    ids=["link to itself", "link to nothing", "device", "folder", "pipe", "appended to"],
)
def test_unreadable_item_is_rejected_with_its_reason(
    fed: FedFolder, put: Callable[[Path], object], reason: str
) -> None:
    put(fed.folder / "a.npy")
    for number in (1, 2, 3):
        fed.feed(number)

    assert [fed.answer() for _ in range(3)] == [1, 2, 3]
    until(lambda: fed.source.take(0.01) is None and fed.names() == set())
    assert os.path.lexists(fed.folder / "rejected" / "a.npy")
    assert reason in (fed.folder / "rejected" / "a.npy.txt").read_text()
