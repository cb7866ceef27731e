from pathlib import Path

import numpy as np
import pytest

from nestling_cloud.datasets.errors import DatasetError
from nestling_cloud.datasets.items import Item, Places, is_divided, items_of
from nestling_cloud.datasets.label_kinds import LabelKind, encode, kind_of
from nestling_cloud.datasets.label_table import read_label_table
from nestling_cloud.datasets.name_patterns import compiled, guessed

PATTERN = r"(?P<label>\d)_(?P<group>[a-z]+)_"


def written(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, "utf-8")
    return path


def test_folder_is_the_class_and_folders_below_it_are_groups() -> None:
    found = items_of(["cat/tom/1.png", "dog/2.png"], Places(labels="folder", groups="folder"), None)

    assert found.items == [
        Item(name="cat/tom/1.png", labels=("cat",), group="tom"),
        Item(name="dog/2.png", labels=("dog",), group=""),
    ]


def test_parts_of_divided_data_are_recognized() -> None:
    names = ["Train/cat/1.png", "test/cat/2.png", "val/dog/3.png"]

    assert is_divided(names)
    assert [item.part for item in items_of(names, Places(labels="folder"), None).items] == [
        "train",
        "test",
        "calibration",
    ]
    assert not is_divided(["train/a.png", "tram/b.png"])
    assert not is_divided(["train/a.png", "b.png", "test/c.png"])


def test_name_tells_label_and_group() -> None:
    places = Places(labels="name", groups="name", pattern=PATTERN)

    found = items_of(["0_ann_1.wav", "odd.wav", "3_bob_0.wav"], places, None)

    assert [(item.labels, item.group) for item in found.items] == [(("0",), "ann"), (("3",), "bob")]
    assert found.set_aside == {"odd.wav": "does not match the pattern"}


def test_likely_pattern_is_guessed_from_names() -> None:
    names = [f"{d}_{s}_{n}.wav" for d in range(3) for s in ("ann", "bob") for n in range(20)]

    match = compiled(guessed(names)).search("2_bob_17.wav")

    assert match is not None
    assert match.groupdict() == {"label": "2", "group": "bob"}
    assert guessed(["a.wav", "b.wav"]) == ""


def test_pattern_that_names_nothing_is_refused() -> None:
    for pattern, reason in (("(", "not a regular expression"), ("a(b)", "neither a label")):
        with pytest.raises(DatasetError, match=reason):
            compiled(pattern)


def test_table_names_files_by_path_or_name_and_gives_label_group_and_part(tmp_path: Path) -> None:
    table = read_label_table(
        written(tmp_path, "File;Label;Subject;split\na/1.png;cat;tom;train\n2;dog;rex;test\n")
    )

    found = items_of(["a/1.png", "b/2.png", "3.png"], Places(labels="table", groups="table"), table)

    assert found.items == [
        Item(name="a/1.png", labels=("cat",), group="tom", part="train"),
        Item(name="b/2.png", labels=("dog",), group="rex", part="test"),
    ]
    assert found.set_aside == {"3.png": "is not in the table of labels"}


def test_table_of_several_values_is_a_regression(tmp_path: Path) -> None:
    table = read_label_table(written(tmp_path, "file,flow,pressure\n1.csv,3.5,100\n2.csv,4,90\n"))

    kind = kind_of([row.labels for row in table.rows.values()], columns=table.columns)

    assert kind == LabelKind(kind="regression", values=["flow", "pressure"])
    labels = encode([row.labels for row in table.rows.values()], kind)
    assert labels.dtype == np.float32
    assert labels.tolist() == [[3.5, 100], [4, 90]]


def test_several_labels_of_a_file_make_a_multi_label_task(tmp_path: Path) -> None:
    table = read_label_table(written(tmp_path, "file,labels\n1,a|b\n2,\n3,c\n"))
    rows = [row.labels for row in table.rows.values()]

    kind = kind_of(rows, columns=table.columns, is_multiple=table.is_multiple)

    assert (kind.kind, kind.classes) == ("multi-label", ["a", "b", "c"])
    labels = encode(rows, kind)
    assert labels.dtype == bool
    assert labels.astype(int).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_file_without_a_label_in_the_table_is_set_aside(tmp_path: Path) -> None:
    table = read_label_table(written(tmp_path, "file,label\n1,cat\n2,\n"))

    found = items_of(["1.png", "2.png"], Places(labels="table"), table)

    assert [item.name for item in found.items] == ["1.png"]
    assert found.set_aside == {"2.png": "has no label in the table"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no rows; its first row names the columns"),
        ("a,b\n1,2\n", "no column of files"),
        ("file\nx\n", "no column of labels"),
        ("file,label\nx,1\nx,2\n", "line 3: it names 'x' again"),
        ("file,label\nx,1\ny\n", "line 3: 1 fields instead of 2"),
        ("file,label\n,1\n", "line 2: it names no file"),
    ],
)
def test_wrong_table_is_refused_with_the_line(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        read_label_table(written(tmp_path, text))


def test_table_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    for name in ("none.csv", "binary.csv"):
        with pytest.raises(DatasetError, match="not a readable table"):
            read_label_table(tmp_path / name)


@pytest.mark.parametrize(
    ("texts", "columns", "kind", "classes"),
    [
        (["dog", "cat"], (), "single-label", ["cat", "dog"]),
        (["10", "9", "2"], (), "single-label", ["2", "9", "10"]),
        (["10", "9", "2"], ("label",), "single-label", ["2", "9", "10"]),
        ([str(number) for number in range(40)], ("label",), "regression", ()),
        (["0.5", "1"], ("label",), "regression", ()),
        (["normal", "anomaly"], (), "anomaly", ("normal", "anomaly")),
        (["0", "1"], ("anomaly",), "anomaly", ("normal", "anomaly")),
        (["0", "1"], ("label",), "single-label", ["0", "1"]),
    ],
)
def test_labels_suggest_the_kind_of_task(
    texts: list[str], columns: tuple[str, ...], kind: str, classes: object
) -> None:
    found = kind_of([(text,) for text in texts], columns=columns)

    assert (found.kind, found.classes) == (kind, classes)


def test_wanted_kind_that_labels_do_not_fit_is_refused() -> None:
    with pytest.raises(DatasetError, match="a regression needs numbers; found 'cat'"):
        kind_of([("cat",)], wanted="regression")
    with pytest.raises(DatasetError, match="0 and 1; found 'cat'"):
        kind_of([("cat",)], wanted="anomaly")


def test_label_outside_the_classes_is_refused() -> None:
    with pytest.raises(DatasetError, match="not among cat, dog: 'cow'"):
        encode([("cow",)], LabelKind(kind="single-label", classes=("cat", "dog")))


def test_anomalies_are_numbered_by_their_meaning() -> None:
    kind = LabelKind(kind="anomaly", classes=("normal", "anomaly"))

    assert encode([("0",), ("1",), ("normal",), ("anomaly",)], kind).tolist() == [0, 1, 0, 1]
