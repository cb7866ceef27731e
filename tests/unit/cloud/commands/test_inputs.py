import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nestling.v1.bundle_pb2 import Signature, Value
from nestling_cloud import cli
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.store.labeled_inputs import InputFilter, LabeledInputs
from nestling_cloud.store.store import Store, store_url
from tests.support.hand_bundle import hand_repository, window
from tests.support.stored_inputs import NOON_MS, store_inputs, stored_input

MULTI = Signature(classes=["a", "b"], kind="multi-label")
VALUES = Signature(
    values=[Value(name=name, tolerance=1) for name in ("flow", "head")], kind="regression"
)
ANOMALY = Signature(classes=["normal", "leak"], kind="anomaly")
DAY_MS = 24 * 3_600_000


@pytest.fixture
def place(tmp_path: Path, tiny_teacher: bytes) -> Path:
    """Return a folder with a repository, and a state folder with three stored inputs."""
    hand_repository(tmp_path / "repository", tiny_teacher)
    (tmp_path / "state").mkdir()
    with opened(tmp_path) as store:
        inputs = [
            stored_input(
                window(*[0.1 * index] * 4), index=index, device=device, at_ms=NOON_MS + at_ms
            )
            for index, (device, at_ms) in enumerate((("porch", 0), ("roof", 5), ("roof", DAY_MS)))
        ]
        assert store_inputs(store, inputs) == [1, 2, 3]
    return tmp_path


def opened(place: Path) -> Store:
    return Store(store_url(str(place / "state" / "receipts.sqlite")))


def run(place: Path, command: str, *arguments: str, repository: bool = True) -> int:
    named = ["--repository", str(place / "repository")] if repository else []
    return cli.main(["inputs", command, *arguments, *named, "--state", str(place / "state")])


def stored(place: Path, chosen: InputFilter | None = None) -> list[tuple[int, Any, Any]]:
    with opened(place) as store:
        found = LabeledInputs(store).all(chosen or InputFilter())
        return [(one.id, one.label, one.labeled_by) for one in found]


def test_list_names_classes_and_labels(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "label", "2", "b") == 0
    capsys.readouterr()

    assert run(place, "list") == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    assert "2026-11-30 12:00:00 UTC  roof" in lines[1]
    assert "device: a  cloud: c  b (user " in lines[1]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((), [3, 2, 1]),
        (("--limit", "1"), [3]),
        (("--device", "roof"), [3, 2]),
        (("--labeled",), [2]),
        (("--unlabeled", "--device", "roof"), [3]),
        (("--since", "2026-12-01"), [3]),
        (("--until", "2026-11-30T13:00:00.005+01:00"), [1]),
    ],
)
def test_list_is_filtered(
    place: Path, capsys: pytest.CaptureFixture[str], filters: tuple[str, ...], expected: list[int]
) -> None:
    assert run(place, "label", "2", "b") == 0
    capsys.readouterr()

    assert run(place, "list", "--json", *filters) == 0

    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == expected


def test_label_is_given_and_removed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "label", "1", "d", "--json") == 0
    one = json.loads(capsys.readouterr().out)
    assert (one["id"], one["label"]) == (1, "d")
    assert one["cloud_answer"] == {"text": "c", "label": "c", "code": 2, "values": []}
    assert one["labeled_by"].startswith("user ")

    assert run(place, "label", "1", "--remove") == 0
    assert capsys.readouterr().out == "input 1: no label\n"
    assert stored(place)[-1] == (1, None, None)


@pytest.mark.parametrize(
    ("signature", "words", "label", "line"),
    [
        (MULTI, ("b", "a"), ["a", "b"], "a | b"),
        (MULTI, ("--none",), [], "none"),
        (VALUES, ("head=-2", "flow=1.5"), {"flow": 1.5, "head": -2.0}, "flow=1.5 head=-2"),
        (ANOMALY, ("leak",), "leak", "leak"),
    ],
)
def test_label_has_the_form_of_the_kind(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    signature: Signature,
    words: tuple[str, ...],
    label: Any,
    line: str,
) -> None:
    release(place, signature)

    assert run(place, "label", "1", *words) == 0
    assert capsys.readouterr().out == f"input 1: {line}\n"
    assert stored(place)[-1][1] == label

    assert run(place, "list", "--limit", "3") == 0
    assert f"  {line} (user " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("signature", "words", "message"),
    [
        (Signature(classes=["a", "b"]), ("a", "b"), '["a", "b"] is not a class of the task'),
        (Signature(classes=["a", "b"]), ("--none",), "[] is not a class of the task"),
        (MULTI, ("a", "e"), '"e" is not a class of the task; its classes: "a", "b"'),
        (VALUES, ("1.5",), "'1.5' is not one of flow=NUMBER, head=NUMBER"),
        (VALUES, ("flow=1",), "a number for each of"),
    ],
)
def test_label_of_another_form_is_refused(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    signature: Signature,
    words: tuple[str, ...],
    message: str,
) -> None:
    release(place, signature)

    assert run(place, "label", "1", *words) == 1

    assert message in capsys.readouterr().err
    assert stored(place)[-1] == (1, None, None)


def release(place: Path, signature: Signature) -> None:
    """Release a bundle of another kind."""
    repository = Repository(place / "repository")
    manifest = repository.manifest()
    manifest.release += 1
    manifest.signature.CopyFrom(signature)
    repository.release(manifest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("9", "a"), "no input 9 is stored"),
        (("1", "e"), '"e" is not a class of the task; its classes: "a", "b", "c", "d"'),
    ],
)
def test_label_that_cannot_be_given_is_reported(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(place, "label", *arguments) == 1

    assert message in capsys.readouterr().err
    assert all(label is None for _, label, _ in stored(place))


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--since", "yesterday"),
        ("list", "--since", "1969-01-01"),
        ("list", "--labeled", "--unlabeled"),
        ("list", "--limit", "0"),
        ("label", "1"),
        ("label", "1", "a", "--remove"),
        ("label", "1", "a", "--none"),
        ("label", "1", "--none", "--remove"),
        ("label", "x", "a"),
        ("export",),
        ("export", "--out", "x", "--label-with", "device"),
    ],
)
def test_wrong_command_line_is_refused(place: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(place, *arguments)

    assert ended.value.code == 2


def test_export_says_what_it_wrote(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "label", "1", "d") == 0
    capsys.readouterr()

    assert run(place, "export", "--out", str(place / "out"), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(place / "out"),
        "inputs": 3,
        "labeled": 1,
        "skipped": 0,
    }
    assert sorted(path.name for path in (place / "out").iterdir()) == [
        "d",
        "labels.csv",
        "unlabeled",
    ]
    assert run(place, "export", "--out", str(place / "out")) == 1
    assert "exists already" in capsys.readouterr().err


def test_delete_needs_a_confirmation(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "delete", "--device", "roof", repository=False) == 1

    assert "2 inputs would be deleted" in capsys.readouterr().err
    assert len(stored(place)) == 3


def test_delete_deletes_what_is_chosen(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dry = ("--device", "roof", "--dry-run", "--json")
    assert run(place, "delete", *dry, repository=False) == 0
    assert json.loads(capsys.readouterr().out) == {"inputs": 2, "deleted": False}
    assert len(stored(place)) == 3

    assert run(place, "delete", "--device", "roof", "--yes", "--json", repository=False) == 0
    assert json.loads(capsys.readouterr().out) == {"inputs": 2, "deleted": True}
    assert [number for number, _, _ in stored(place)] == [1]

    assert run(place, "delete", "--all", "--yes", repository=False) == 0
    assert stored(place) == []


def test_failed_deletion_says_that_nothing_was_deleted(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(place / "state" / "receipts.sqlite")) as database:
        database.execute(
            "CREATE TRIGGER refuse BEFORE DELETE ON hard_inputs "
            "BEGIN SELECT RAISE(ABORT, 'no space'); END"
        )
        database.commit()

    assert run(place, "delete", "--all", "--yes", repository=False) == 1

    assert "nothing was deleted: no space; run the command again" in capsys.readouterr().err
    assert len(stored(place)) == 3


def test_delete_of_nothing_named_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place, "delete", "--yes", repository=False) == 1

    assert "say which inputs to delete" in capsys.readouterr().err
    assert len(stored(place)) == 3


def test_mistyped_store_is_not_created(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = place / "other.sqlite"

    assert run(place, "list", "--store", str(other)) == 1

    assert "there is no store" in capsys.readouterr().err
    assert not other.exists()
