"""Tasks of folders: what is found in one, the task file, and the data that it loads."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nestling_cloud.datasets.errors import DatasetError
from nestling_cloud.datasets.facts import Media
from nestling_cloud.datasets.findings import counts, problems
from nestling_cloud.datasets.label_table import read_label_table
from nestling_cloud.datasets.proposal import Wishes
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Splits, Task, TaskError, load_task
from nestling_cloud.tasks.new_task import NewTask, new_task, save
from nestling_core.media.front_end import PictureFrontEnd
from nestling_core.media.pictures import decode_picture
from tests.support.folders import (
    RATE_HZ,
    picture,
    tone,
    wav,
    write_pictures,
    write_recordings,
    write_sounds,
)

PATTERN = "(?P<label>[a-z]+)_(?P<group>[a-z]+)_"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NESTLING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def looked_at(folder: Path, media: Media, wishes: Wishes | None = None) -> NewTask:
    return new_task(media, folder, wishes or Wishes(), SilentProgress())


def task_of(folder: Path, media: Media, wishes: Wishes | None = None) -> Task:
    path = folder.parent / "task.toml"
    save(looked_at(folder, media, wishes), path, replace=True)
    return load_task(str(path))


def loaded(task: Task, seed: int = 0) -> Splits:
    return task.load_checked(None, seed)


def kinds_of(made: NewTask) -> list[str]:
    return [problem.kind for problem in problems(made.survey)]


def test_folder_of_pictures_becomes_a_task(folder: Path) -> None:
    write_pictures(folder, 20)

    task = task_of(folder, "picture")
    splits = loaded(task)

    assert task.name == "data"
    assert list(task.signature.classes) == ["blue", "green", "red"]
    assert list(task.signature.shape) == [3, 24, 30]
    assert task.signature.media == "picture"
    assert (len(splits.train), len(splits.calibration)) == (39, 9)
    assert sum(map(len, splits.test)) == 12
    assert np.asarray(splits.train.inputs[:]).max() <= 1


def test_inputs_are_those_that_a_device_computes_from_the_files(folder: Path) -> None:
    from nestling_cloud.datasets.picture_graph import picture_graph  # noqa: PLC0415

    write_pictures(folder, 6)
    task = task_of(folder, "picture", Wishes(size=(16, 16)))
    front_end = PictureFrontEnd(picture_graph(task.signature), task.signature)
    on_device = {
        front_end.input_of(decode_picture(path.read_bytes())).tobytes(): path.parent.name
        for path in folder.rglob("*.*g")
    }

    splits = loaded(task)

    for part in (splits.train, splits.calibration, *splits.test):
        for window, label in zip(part.inputs[:], part.labels, strict=True):
            assert on_device.pop(window.tobytes()) == task.signature.classes[label]
    assert on_device == {}


def test_ready_made_parts_are_kept(folder: Path) -> None:
    write_pictures(folder / "train", 8)
    write_pictures(folder / "test", 3, first=100)

    made = looked_at(folder, "picture")
    splits = loaded(task_of(folder, "picture"))

    assert counts(made.survey)["inputs"] == {"train": 21, "calibration": 3, "test": 9}
    assert sum(map(len, splits.test)) == 9


def test_bad_files_are_named_and_set_aside(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pictures(folder, 12)
    whole = (folder / "red" / "001.jpg").read_bytes()
    (folder / "red" / "half.jpg").write_bytes(whole[: len(whole) * 4 // 5])
    (folder / "red" / "text.png").write_text("no picture")
    (folder / "loose.png").write_bytes((folder / "red" / "000.png").read_bytes())

    made = looked_at(folder, "picture")
    with caplog.at_level(logging.WARNING):
        splits = loaded(task_of(folder, "picture"))

    assert dict(made.survey.set_aside) == {
        "red/text.png": "is not a readable JPEG or PNG file",
        "loose.png": "is in no class folder",
    }
    total = len(splits.train) + len(splits.calibration) + sum(map(len, splits.test))
    assert total == 36  # a part of a picture is noticed when it is decoded
    assert "it is set aside, and 2 more files" in caplog.text


def test_what_looks_wrong_with_pictures_is_said(folder: Path) -> None:
    write_pictures(folder / "train", 6)
    write_pictures(folder / "test", 3, first=100)
    copied = (folder / "train" / "red" / "000.png").read_bytes()
    (folder / "test" / "red" / "copy.png").write_bytes(copied)
    (folder / "train" / "blue" / "copy.png").write_bytes(copied)
    for path in (folder / "test" / "green").iterdir():
        path.unlink()
    Image.new("RGB", (300, 240), (9, 99, 200)).save(folder / "train" / "red" / "plain.jpg")
    Image.new("CMYK", (40, 20)).save(folder / "train" / "red" / "cmyk.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture("red", 5).save(folder / "train" / "red" / "turned.jpg", exif=exif)

    made = looked_at(folder, "picture")

    assert {
        "duplicates between parts",
        "contradictory labels",
        "class missing",
        "mixed sizes",
        "flat",
        "rotated",
        "converted",
    } <= set(kinds_of(made))
    missing = [p.text for p in problems(made.survey) if p.kind == "class missing"]
    assert "no test data of green" in missing
    flat = [p.files for p in problems(made.survey) if p.kind == "flat"]
    assert flat == [["train/red/cmyk.jpg", "train/red/plain.jpg"]]


def test_group_in_two_parts_is_said(folder: Path) -> None:
    for part in ("train", "test"):
        for color in ("red", "green"):
            for subject in ("ann", "bob", "cem"):
                path = folder / part / color / subject
                path.mkdir(parents=True)
                for number in range(3):
                    seed = hash((part, subject, number)) % 10000
                    picture(color, seed).save(path / f"{number}.png")

    made = looked_at(folder, "picture")

    leaks = [problem for problem in problems(made.survey) if problem.kind == "group leak"]
    assert [leak.text.partition(" groups")[0] for leak in leaks] == ["3"]


def test_second_look_and_second_load_read_no_file_again(folder: Path) -> None:
    write_pictures(folder, 8)
    task = task_of(folder, "picture")
    first = loaded(task)
    for path in list(
        folder.rglob("*.*g")
    ):  # the same size and time, so that only a reader would notice
        status = path.stat()
        path.write_bytes(b"x" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    again = loaded(task)

    np.testing.assert_array_equal(first.train.inputs[:], again.train.inputs[:])


def test_changed_file_is_decoded_again(folder: Path) -> None:
    write_pictures(folder, 8)
    task = task_of(folder, "picture")
    first = loaded(task)
    Image.new("RGB", (30, 24)).save(folder / "red" / "000.png")

    again = loaded(task)

    assert first.train.inputs[:].sum() + 0 != again.train.inputs[:].sum() or any(
        one.inputs[:].sum() != other.inputs[:].sum()
        for one, other in zip(
            (first.calibration, *first.test), (again.calibration, *again.test), strict=True
        )
    )


def test_damaged_cache_is_made_again(folder: Path, cache: Path) -> None:
    write_pictures(folder, 8)
    task = task_of(folder, "picture")
    first = loaded(task).train.inputs[:]
    for path in (cache / "inputs").iterdir():
        path.write_bytes(path.read_bytes()[:-5])
    for path in (cache / "folders").iterdir():
        path.write_text("[1")

    np.testing.assert_array_equal(first, loaded(task).train.inputs[:])


def test_folder_of_sounds_is_divided_by_speaker(folder: Path) -> None:
    write_sounds(folder, 6)

    task = task_of(folder, "sound", Wishes(pattern=PATTERN))
    splits = loaded(task)

    assert list(task.signature.classes) == ["high", "low"]
    assert (task.signature.media, task.signature.rate_hz) == ("sound", RATE_HZ)
    assert list(task.signature.shape) == [1, 1600]  # 0.12 s, in steps of a tenth
    assert (len(splits.train), len(splits.calibration)) == (24, 12)
    assert splits.train.inputs.dtype == np.float32


def test_sounds_without_labels_suggest_a_pattern(folder: Path) -> None:
    write_sounds(folder, 6)

    with pytest.raises(DatasetError, match=r"the names suggest --pattern '\(\?P<label>"):
        looked_at(folder, "sound")


def test_what_looks_wrong_with_sounds_is_said(folder: Path) -> None:
    write_sounds(folder, 6)
    (folder / "low_ann_90.wav").write_bytes(wav([0.0] * 1600))
    (folder / "low_ann_91.wav").write_bytes(tone(300, 0.01, 1))
    (folder / "low_ann_92.wav").write_bytes(tone(300, 0.2, 1, rate_hz=16000))
    (folder / "low_ann_93.wav").write_bytes(b"RIFF")

    made = looked_at(folder, "sound", Wishes(pattern=PATTERN))

    assert {"set aside", "flat", "short"} <= set(kinds_of(made))
    assert made.survey.set_aside == {
        "low_ann_92.wav": "has 16000 samples a second, not 8000",
        "low_ann_93.wav": "is not a WAV file",
    }


def test_sounds_of_other_rates_are_converted_if_the_task_says_so(folder: Path) -> None:
    write_sounds(folder, 6)
    (folder / "low_ann_92.wav").write_bytes(tone(300, 0.2, 1, rate_hz=16000))
    task_of(folder, "sound", Wishes(pattern=PATTERN))
    path = folder.parent / "task.toml"
    path.write_text(path.read_text().replace("convert = false", "convert = true"))

    splits = loaded(load_task(str(path)))

    assert len(splits.train) + len(splits.calibration) + sum(map(len, splits.test)) == 49


def test_folder_of_recordings_is_cut_into_windows(folder: Path) -> None:
    write_recordings(folder, 8)

    made = looked_at(folder, "array", Wishes(length=10, hop=5))
    task = task_of(folder, "array", Wishes(length=10, hop=5))
    splits = loaded(task)

    assert task.signature.kind == "anomaly"
    assert list(task.signature.channels) == ["shaking", "flow"]
    assert [name for name, _ in made.proposal.dropped] == ["datetime", "anomaly", "changepoint"]
    assert list(task.signature.shape) == [2, 10]
    assert all(len(recording) == 11 for recording in splits.test)
    assert set(splits.calibration.lengths) == {11}
    assert splits.train.labels[:11].tolist() == [0] * 6 + [1] * 5


def test_column_is_estimated_from_the_others(folder: Path) -> None:
    write_recordings(folder, 8, label=False)

    task = task_of(folder, "array", Wishes(targets=("flow",), length=10))
    splits = loaded(task)

    assert task.signature.kind == "regression"
    assert list(task.signature.channels) == ["shaking"]
    assert [value.name for value in task.signature.values] == ["flow"]
    assert 0 < task.signature.values[0].tolerance < 1
    assert splits.train.labels.shape == (len(splits.train), 1)
    assert 20 < splits.train.labels.mean() < 40


def test_columns_of_labels_are_no_inputs_of_a_regression(folder: Path) -> None:
    write_recordings(folder, 8)

    task = task_of(folder, "array", Wishes(targets=("flow",), length=10))

    assert list(task.signature.channels) == ["shaking"]


def test_recording_without_the_label_is_normal_if_its_name_says_so(folder: Path) -> None:
    write_recordings(folder / "a", 6)
    write_recordings(folder / "anomaly-free", 1, label=False)

    made = looked_at(folder, "array", Wishes(length=10))

    assert made.proposal.plan.windows is not None
    assert made.proposal.plan.windows.unlabeled == "normal"
    assert made.survey.set_aside == {}


def test_table_gives_labels_and_groups(folder: Path) -> None:
    write_sounds(folder, 4)
    names = sorted(path.name for path in folder.iterdir())
    table = folder / "labels.csv"
    rows = [f"{name},{name.split('_')[0]}|any,{name.split('_')[1]}" for name in names]
    table.write_text("\n".join(["file,labels,speaker", *rows]))

    task = task_of(folder, "sound", Wishes(table=read_label_table(table)))
    splits = loaded(task)

    assert task.signature.kind == "multi-label"
    assert list(task.signature.classes) == ["any", "high", "low"]
    assert splits.train.labels.dtype == bool
    assert splits.train.labels[:, 0].all()


def test_table_in_the_folder_itself_is_used(folder: Path) -> None:
    rng, rows = np.random.default_rng(0), ["file,label,group,cloud_answer"]
    for number in range(40):
        label = ["still", "moving", "unlabeled"][number % 3]
        (folder / label).mkdir(parents=True, exist_ok=True)
        window = rng.normal(scale=1 + number % 3, size=(2, 30)).astype(np.float32)
        np.save(folder / label / f"{number}.npy", window)
        text = label * (label != "unlabeled")
        rows.append(f"{label}/{number}.npy,{text},device-{number % 5},still")
    (folder / "labels.csv").write_text("\n".join(rows))

    made = looked_at(folder, "array")
    splits = loaded(task_of(folder, "array"))

    assert made.proposal.plan.kind.classes == ["moving", "still"]
    assert made.proposal.plan.places.groups == "table"
    assert len(made.survey.set_aside) == 13
    assert splits.train.inputs.shape[1:] == (2, 30)
    assert splits.held_out == {
        item.group
        for item, part in zip(made.survey.items, made.survey.parts, strict=True)
        if part != "train"
    }


def test_data_dir_replaces_the_folder_of_the_task(folder: Path, tmp_path: Path) -> None:
    write_pictures(folder, 8)
    task = task_of(folder, "picture")
    write_pictures(tmp_path / "other", 12)

    splits = task.load_checked(tmp_path / "other", 0)

    assert len(splits.train) + len(splits.calibration) + sum(map(len, splits.test)) == 36


def test_edited_task_file_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    write_pictures(folder, 8)
    made = looked_at(folder, "picture")
    path = tmp_path / "task.toml"
    save(made, path)
    save(made, path)  # the same text
    path.write_text(path.read_text() + "# edited\n")

    with pytest.raises(TaskError, match="exists and says something else"):
        save(made, path)
    assert path.read_text().endswith("# edited\n")


def test_folder_that_cannot_be_used_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="is not a folder"):
        looked_at(folder, "picture")
    folder.mkdir()
    (folder / "notes.txt").write_text("x")
    with pytest.raises(DatasetError, match="it has 1 other files"):
        looked_at(folder, "picture")
    (folder / "a.png").write_text("x")
    with pytest.raises(DatasetError, match=r"a.png is not a readable JPEG or PNG"):
        looked_at(folder, "picture")
