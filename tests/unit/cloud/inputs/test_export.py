"""Stored inputs become a folder, whole or not at all."""

import csv
import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nestling.v1 import receipt_pb2
from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.inputs import input_file
from nestling_cloud.inputs.export import (
    COLUMNS,
    TABLE,
    Exported,
    InputExportError,
    export_inputs,
)
from nestling_cloud.inputs.input_folder import read_folder
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.store.labeled_inputs import InputFilter, LabeledInputs
from nestling_cloud.store.store import Store, store_url
from tests.support.receipts import make_receipt
from tests.support.stored import add_batch
from tests.support.stored_inputs import NOON_MS, store_inputs, stored_input

CLASSES = ["low", "T-shirt/top", "..", "T-shirt_top"]
RELEASED = ReleasedLabels(task="hand", signature=Signature(shape=[1, 2, 2], classes=CLASSES))
PICTURE = np.array([[[0, 51], [102, 255]]], np.float32) / 255
WINDOW = np.array([[[0.1234, -1], [2, 3]]], np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(store_url(str(tmp_path / "receipts.sqlite"))) as opened:
        yield opened


def labeled(store: Store, number: int, label: str) -> None:
    LabeledInputs(store).label(number, label, by="token ann", now_ms=5)


def export(store: Store, folder: Path, *, label_with_cloud: bool = False) -> Exported:
    return export_inputs(
        LabeledInputs(store), InputFilter(), RELEASED, folder, label_with_cloud=label_with_cloud
    )


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / TABLE).open(newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == ["file", "label", *COLUMNS]
        return list(reader)


def test_folder_has_a_file_for_each_input_and_a_table_about_them(
    store: Store, tmp_path: Path
) -> None:
    first, second, third = store_inputs(
        store,
        [
            stored_input(PICTURE, index=1),
            stored_input(WINDOW, device="roof", at_ms=NOON_MS + 1234, answers=(None, 0)),
            stored_input(PICTURE, index=2),
        ],
    )
    labeled(store, first, "T-shirt/top")
    labeled(store, second, "low")
    receipt = make_receipt(1, input_index=1, device_confidence=0.25)
    add_batch(store, "porch", receipt_pb2.ReceiptBatch(outbox_id="outbox", receipts=[receipt]))

    exported = export(store, tmp_path / "out")

    assert exported == Exported(folder=tmp_path / "out", inputs=3, labeled=2, skipped=0)
    rows = {row["file"]: row for row in table(tmp_path / "out")}
    assert rows == {
        f"T-shirt_top/porch-{first}.png": {
            "file": f"T-shirt_top/porch-{first}.png",
            "label": "T-shirt/top",
            "group": "porch",
            "device": "porch",
            "time": "2026-11-30T12:00:00.000Z",
            "device_answer": "low",
            "cloud_answer": "..",
            "device_confidence": "0.25",
            "labeled_by": "token ann",
        },
        f"low/roof-{second}.npy": {
            "file": f"low/roof-{second}.npy",
            "label": "low",
            "group": "roof",
            "device": "roof",
            "time": "2026-11-30T12:00:01.234Z",
            "device_answer": "",
            "cloud_answer": "low",
            "device_confidence": "",
            "labeled_by": "token ann",
        },
        f"unlabeled/porch-{third}.png": rows[f"unlabeled/porch-{third}.png"],
    }
    assert rows[f"unlabeled/porch-{third}.png"]["label"] == ""
    assert {path.relative_to(tmp_path / "out").as_posix() for path in files(tmp_path / "out")} == {
        *rows,
        TABLE,
    }
    assert np.array_equal(np.load(tmp_path / "out" / f"low/roof-{second}.npy"), WINDOW)


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_cloud_labels_only_if_asked_and_only_what_nobody_labeled(
    store: Store, tmp_path: Path
) -> None:
    first, second = store_inputs(store, [stored_input(PICTURE), stored_input(PICTURE, index=1)])
    labeled(store, first, "low")

    export(store, tmp_path / "out", label_with_cloud=True)

    rows = {row["file"]: row for row in table(tmp_path / "out")}
    by_person, by_cloud = rows[f"low/porch-{first}.png"], rows[f"unlabeled/porch-{second}.png"]
    assert (by_person["label"], by_person["labeled_by"]) == ("low", "token ann")
    assert (by_cloud["label"], by_cloud["labeled_by"]) == ("..", "cloud")


def test_names_of_classes_cannot_leave_the_folder_or_share_one(
    store: Store, tmp_path: Path
) -> None:
    numbers = store_inputs(store, [stored_input(PICTURE, index=index) for index in range(4)])
    for number, label in zip(numbers, CLASSES, strict=True):
        labeled(store, number, label)

    export(store, tmp_path / "deep" / "out")

    folders = {row["label"]: row["file"].split("/")[0] for row in table(tmp_path / "deep" / "out")}
    assert len(set(folders.values())) == 4
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_exported_folder_is_read_back(store: Store, tmp_path: Path) -> None:
    numbers = store_inputs(
        store,
        [stored_input(PICTURE), stored_input(WINDOW, device="roof"), stored_input(PICTURE)],
    )
    labeled(store, numbers[0], "..")
    labeled(store, numbers[1], "T-shirt_top")
    export(store, tmp_path / "out")

    found = read_folder(tmp_path / "out", RELEASED.signature)

    by_group = dict(zip(found.groups, found.inputs, strict=True))
    assert dict(zip(found.groups, found.labels.tolist(), strict=True)) == {"porch": 2, "roof": 3}
    assert np.array_equal(by_group["porch"], PICTURE)
    assert np.array_equal(by_group["roof"], WINDOW)
    assert found.unlabeled == 1


@pytest.mark.parametrize("kind", ["file", "full"])
def test_nothing_is_overwritten(store: Store, tmp_path: Path, kind: str) -> None:
    store_inputs(store, [stored_input(PICTURE)])
    out = tmp_path / "out"
    if kind == "full":
        out.mkdir()
        (out / "mine").touch()
    else:
        out.touch()

    with pytest.raises(InputExportError, match="exists already"):
        export(store, out)

    assert out.is_file() or [path.name for path in out.iterdir()] == ["mine"]


def test_empty_folder_is_filled(store: Store, tmp_path: Path) -> None:
    store_inputs(store, [stored_input(PICTURE)])
    (tmp_path / "out").mkdir()

    assert export(store, tmp_path / "out").inputs == 1


def test_full_disk_leaves_no_folder(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_inputs(store, [stored_input(PICTURE, index=index) for index in range(3)])
    left = 2

    def write(path: Path, data: bytes) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        with path.open("wb") as file:
            return file.write(data)

    monkeypatch.setattr(Path, "write_bytes", write)

    with pytest.raises(InputExportError, match="No space left on device; nothing was exported"):
        export(store, tmp_path / "out")

    assert not [path for path in tmp_path.iterdir() if "receipts" not in path.name]


def test_without_any_input_nothing_is_written(store: Store, tmp_path: Path) -> None:
    store_inputs(store, [stored_input(PICTURE, task="other")])

    with pytest.raises(InputExportError, match="no input of the task 'hand'"):
        export(store, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_input_that_cannot_be_read_is_left_out_and_counted(store: Store, tmp_path: Path) -> None:
    good, lost = store_inputs(store, [stored_input(PICTURE), stored_input(PICTURE, index=1)])
    with store.writing() as connection:
        connection.exec_driver_sql(
            f"UPDATE hard_inputs SET input_values = x'00' WHERE id = {lost}"  # noqa: S608
        )
    labeled(store, good, "low")

    exported = export(store, tmp_path / "out")

    assert (exported.inputs, exported.skipped) == (1, 1)
    assert input_file.PNG in table(tmp_path / "out")[0]["file"]


def test_class_that_is_called_like_the_folder_for_no_class_is_refused(
    store: Store, tmp_path: Path
) -> None:
    released = ReleasedLabels(task="hand", signature=Signature(classes=["a", "unlabeled"]))

    with pytest.raises(InputExportError, match="'unlabeled'"):
        export_inputs(LabeledInputs(store), InputFilter(), released, tmp_path / "out")
