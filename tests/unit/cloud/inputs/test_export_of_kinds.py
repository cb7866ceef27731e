"""Inputs of every kind of task are exported, read back and trained on, with their labels."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Signature, Value
from nestling_cloud.datasets.items import Item, Places, items_of
from nestling_cloud.datasets.label_table import read_label_table
from nestling_cloud.inputs.added_training import with_folders
from nestling_cloud.inputs.export import TABLE, InputExportError, export_inputs
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.store.label import Label
from nestling_cloud.store.labeled_inputs import InputFilter, LabeledInputs
from nestling_cloud.store.store import Store, store_url
from nestling_cloud.tasks import Task
from nestling_core.kinds.kind import Answer, Answers
from tests.support.kind_tasks import ANOMALY, MULTI_LABEL, REGRESSION
from tests.support.stored_inputs import store_inputs, stored_input


class Case(NamedTuple):
    """Two labels of a task, and what they become; the cloud answers like the second one."""

    task: Task
    labels: tuple[Label, Label]
    device: Answer
    cloud: Answer
    texts: tuple[str, str]
    fields: tuple[str, ...]
    folders: tuple[str, str]
    array: Answers


CASES = {
    "multi-label": Case(
        task=MULTI_LABEL,
        labels=([], ["hum", "whistle"]),
        device=Answer(0),
        cloud=Answer(3),
        texts=("none", "hum | whistle"),
        fields=("hum|whistle",),
        folders=("inputs", "inputs"),
        array=np.array([[False, False], [True, True]]),
    ),
    "regression": Case(
        task=REGRESSION,
        labels=({"pitch": 310.5, "strength": 1.0}, {"pitch": 400.0, "strength": 0.5}),
        device=Answer(0, (300.0, 1.0)),
        cloud=Answer(0, (400.0, 0.5)),
        texts=("pitch=300 strength=1", "pitch=400 strength=0.5"),
        fields=("400", "0.5"),
        folders=("inputs", "inputs"),
        array=np.array([[310.5, 1.0], [400.0, 0.5]], np.float32),
    ),
    "anomaly": Case(
        task=ANOMALY,
        labels=("normal", "broken"),
        device=Answer(0, (0.25,)),
        cloud=Answer(1, (3.5,)),
        texts=("normal", "broken"),
        fields=("broken",),
        folders=("normal", "unlabeled"),
        array=np.array([0, 1], np.int64),
    ),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(store_url(str(tmp_path / "receipts.sqlite"))) as opened:
        yield opened


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def exported(store: Store, case: Case, folder: Path, *, cloud: bool) -> list[dict[str, str]]:
    """Store two inputs, label the first one, export both, and return the table."""
    released = ReleasedLabels(task=case.task.name, signature=case.task.signature)
    rng = np.random.default_rng(5)
    inputs = [
        stored_input(
            rng.normal(size=case.task.signature.shape),
            index=index,
            task=case.task.name,
            answers=(case.device, case.cloud),
        )
        for index in range(2)
    ]
    first, _ = store_inputs(store, inputs)
    stored = LabeledInputs(store)
    one = stored.find(first)
    assert one is not None
    stored.label(first, released.check(one, case.labels[0]), by="ann", now_ms=5)
    export_inputs(stored, InputFilter(), released, folder, label_with_cloud=cloud)
    with (folder / TABLE).open(newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: row["labeled_by"] != "ann")


def test_table_has_the_label_and_both_answers(store: Store, case: Case, tmp_path: Path) -> None:
    labeled, by_cloud = exported(store, case, tmp_path / "out", cloud=True)

    assert labeled["labeled_by"] == "ann"
    assert by_cloud["labeled_by"] == "cloud"
    assert tuple(list(by_cloud.values())[1 : 1 + len(case.fields)]) == case.fields
    for row, folder in zip((labeled, by_cloud), case.folders, strict=True):
        assert (row["device_answer"], row["cloud_answer"]) == case.texts
        assert Path(row["file"]).parent.name == folder
        assert (tmp_path / "out" / row["file"]).is_file()


def test_labels_are_trained_on_as_the_kind_wants_them(
    store: Store, case: Case, tmp_path: Path
) -> None:
    exported(store, case, tmp_path / "out", cloud=True)
    own = case.task.load(Path(), 0)

    splits, (entry,) = with_folders(case.task, own, [tmp_path / "out"])

    assert entry.added == 2
    added = splits.train.labels[-2:]
    assert added.dtype == own.train.labels.dtype == case.array.dtype
    assert sorted(added.tolist()) == sorted(case.array.tolist())
    assert len(splits.train.inputs) == len(own.train) + 2


def test_input_without_a_label_is_left_out(store: Store, case: Case, tmp_path: Path) -> None:
    exported(store, case, tmp_path / "out", cloud=False)

    splits, (entry,) = with_folders(case.task, case.task.load(Path(), 0), [tmp_path / "out"])

    assert (entry.added, entry.unlabeled) == (1, 1)
    assert splits.train.labels[-1].tolist() == case.array[0].tolist()


def test_new_task_can_be_made_of_the_folder(store: Store, case: Case, tmp_path: Path) -> None:
    labeled, rest = exported(store, case, tmp_path / "out", cloud=False)

    table = read_label_table(tmp_path / "out" / TABLE)
    found = items_of([labeled["file"], rest["file"]], Places(labels="table", groups="table"), table)

    count = len(case.fields)
    assert list(table.columns) == list(labeled)[1 : 1 + count]
    texts = () if case.labels[0] == [] else tuple(list(labeled.values())[1 : 1 + count])
    assert found.items == [Item(name=labeled["file"], labels=texts, group="porch")]
    assert "no label" in found.set_aside[rest["file"]]


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (Signature(classes=["a|b", "c"], kind="multi-label"), r"'a\|b' cannot stand in a table"),
        (Signature(values=[Value(name="time")], kind="regression"), "'time', like another column"),
    ],
)
def test_names_that_the_table_cannot_hold_are_refused(
    store: Store, tmp_path: Path, signature: Signature, message: str
) -> None:
    released = ReleasedLabels(task="hand", signature=signature)

    with pytest.raises(InputExportError, match=message):
        export_inputs(LabeledInputs(store), InputFilter(), released, tmp_path / "out")
