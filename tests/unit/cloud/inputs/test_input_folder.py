"""A folder's table says what is read, and an error names its line."""

from pathlib import Path

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.inputs.input_folder import InputFolderError, read_folder

SIGNATURE = Signature(shape=[2, 3], classes=["low", "high"])
HEAD = "file,label,group\n"


def write(folder: Path, table: str) -> Path:
    for name in ("a.npy", "b.npy"):
        np.save(folder / name, np.ones((2, 3), np.float32))
    (folder / "labels.csv").write_bytes(table.encode("latin-1"))
    return folder


def test_rows_may_have_more_columns_in_any_order(tmp_path: Path) -> None:
    folder = write(tmp_path, "group,note,file,label\nporch,x,a.npy,high\nroof,,b.npy,\n")

    found = read_folder(folder, SIGNATURE)

    assert (found.groups, found.labels.tolist(), found.unlabeled) == (("porch",), [1], 1)
    assert found.inputs.shape == (1, 2, 3)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "no column file, label, group"),
        ("file,label\na.npy,low\n", "no column group"),
        (HEAD + "a.npy,low,porch\nb.npy,middle,porch\n", 'line 3: "middle".*"low", "high"'),
        (HEAD + "c.npy,low,porch\n", "line 2: c.npy cannot be read: No such file"),
        (HEAD + "../a.npy,low,porch\n", "line 2: ../a.npy is not the name of a file in this"),
        (HEAD + "/etc/passwd,low,porch\n", "line 2: /etc/passwd is not the name"),
        (HEAD + ",low,porch\n", "line 2:  is not the name"),
        (HEAD + "a.npy,low,\n", "line 2: no group"),
        (HEAD + "a.npy,low\n", "line 2: no group"),
        (HEAD + '"a.npy,low,porch\n', "cannot read .*labels.csv"),
        (HEAD + "\xff\xfe,low,porch\n", "cannot read .*labels.csv"),
    ],
)
def test_table_that_cannot_be_used_is_refused(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(InputFolderError, match=message):
        read_folder(write(tmp_path, table), SIGNATURE)


def test_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFolderError, match=r"labels.csv: No such file.*inputs export"):
        read_folder(tmp_path, SIGNATURE)


def test_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    write(tmp_path, HEAD + "c.npy,low,porch\n")
    np.save(tmp_path / "c.npy", np.ones((2, 4), np.float32))

    with pytest.raises(InputFolderError, match=r"c.npy has the shape \[2, 4\], and the task"):
        read_folder(tmp_path, SIGNATURE)
