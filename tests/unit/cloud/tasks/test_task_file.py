"""Task files in TOML: what they say, and the errors that they cause."""

from functools import partial
from pathlib import Path

import pytest
import torch

from nestling_cloud.datasets.errors import DatasetError
from nestling_cloud.errors import CloudError
from nestling_cloud.models.onnx_teacher import OnnxTeacher
from nestling_cloud.models.picture_teacher import PictureTeacher
from nestling_cloud.tasks import TaskError, load_task
from nestling_cloud.tasks.augmentation import Augmentation
from nestling_cloud.tasks.folder_data import FolderData

PICTURES = """\
name = "pets"
media = "picture"
data = "photos"
classes = ["cat", "dog"]

[picture]
size = [24, 32]

[labels]
place = "folder"

[split]
by = "group"
calibration = ["tom"]
test = 0.25
seed = 5

[teacher]
family = "picture"
width = 16

[teacher.training]
epochs = 3
half = true

[student]
family = "conv"
strides = [2, 1]
widths = [[8, 8], [16, 24]]

[student.training]
epochs = 4
optimizer = "muon"

[augment]
flip = true
shift = 2
"""
WINDOWS = """\
name = "pump"
kind = "regression"
media = "array"
data = "."

[windows]
channels = ["shaking"]
length = 20
hop = 10

[labels]
place = "column"

[[values]]
name = "flow"
unit = "l/min"
tolerance = 2

[teacher]
family = "conv"

[student]
family = "separable"
channels = [16, 16]
strides = [2, 1]
fractions = [0.5, 1.0]
"""
SOUNDS = """\
name = "words"
media = "sound"
data = "clips"
classes = ["no", "yes"]
keep_inputs = "audited"

[sound]
rate_hz = 8000
seconds = 0.5

[log_mel]
mels = 32

[labels]
place = "folder"

[teacher]
family = "sound"
width = 8

[student]
family = "conv"
channels = [16, 16]
strides = [1, 2]
"""


def written(folder: Path, text: str) -> str:
    path = folder / "task.toml"
    path.write_text(text)
    return str(path)


def test_task_file_is_a_task_like_one_in_python(tmp_path: Path) -> None:
    task = load_task(written(tmp_path, PICTURES))

    assert (task.name, list(task.signature.classes)) == ("pets", ["cat", "dog"])
    assert list(task.signature.shape) == [3, 24, 32]
    assert list(task.signature.channels) == ["red", "green", "blue"]
    assert task.student.widths == ((8, 8), (16, 24))
    assert task.teacher_recipe is not None
    assert (task.teacher_recipe.epochs, task.teacher_recipe.half) == (3, True)
    assert (task.student_recipe.epochs, task.student_recipe.optimizer) == (4, "muon")
    assert isinstance(task.teacher, partial)
    assert isinstance(task.teacher(task.signature), PictureTeacher)
    assert task.augment == Augmentation(flip=True, shift=2)
    assert isinstance(task.load, FolderData)
    assert task.load.folder == tmp_path / "photos"
    assert task.load.plan.split.calibration == ("tom",)
    assert (task.load.plan.split.test, task.load.plan.split.seed) == (0.25, 5)


def test_regression_has_values_and_their_columns_are_no_inputs(tmp_path: Path) -> None:
    task = load_task(written(tmp_path, WINDOWS))

    assert [(v.name, v.unit, v.tolerance) for v in task.signature.values] == [("flow", "l/min", 2)]
    assert isinstance(task.load, FolderData)
    assert task.load.plan.windows is not None
    assert (task.load.plan.windows.targets, task.load.plan.windows.label) == (["flow"], "")
    assert task.student.fractions == (0.5, 1.0)


def test_every_family_of_teachers_fits_its_inputs(tmp_path: Path) -> None:
    for family, keys in (
        ("conv", "width = 8"),
        ("picture", "width = 8\ndropout = 0.1"),
        ("tiny-resnet", "widths = [8, 16, 16]\ndepths = [0, 1, 1]"),
    ):
        text = PICTURES.replace('family = "picture"\nwidth = 16', f'family = "{family}"\n{keys}')
        task = load_task(written(tmp_path, text))
        assert isinstance(task.teacher, partial)
        network = task.teacher(task.signature).eval()
        assert network(torch.zeros(2, 3, 24, 32)).shape == (2, 2)


def test_teacher_of_an_anomaly_task_may_compare_windows(tmp_path: Path) -> None:
    text = WINDOWS.partition("[[values]]")[0].replace("regression", "anomaly")
    text = text.replace('place = "column"', 'place = "column"\ncolumn = "wrong"')
    head = text.replace("[windows]", 'classes = ["normal", "anomaly"]\n\n[windows]')
    student = WINDOWS.partition("[student]")[2]
    named = '[teacher]\nfamily = "neighbors"\nstatistics = ["level"]\n\n[student]'

    task = load_task(written(tmp_path, head + named + student))

    assert isinstance(task.teacher, partial)
    network = task.teacher(task.signature)
    assert network(torch.zeros(2, 1, 20)).shape == (2, 1)
    assert network.statistics(torch.zeros(2, 1, 20)).shape == (2, 1)
    with pytest.raises(TaskError, match="statistics: name some of level, noise, roughness"):
        load_task(written(tmp_path, head + named.replace("level", "mood") + student))


def test_sounds_have_features_inside_teacher_and_student(tmp_path: Path) -> None:
    task = load_task(written(tmp_path, SOUNDS))

    assert (task.signature.media, task.signature.rate_hz) == ("sound", 8000)
    assert task.student.front_end is not None
    assert (task.student.front_end.mels, task.student.front_end.bands_as_channels) == (32, True)
    assert isinstance(task.teacher, partial)
    network = task.teacher(task.signature).eval()
    assert network(torch.zeros(2, 1, 4000)).shape == (2, 2)
    assert task.keep_inputs == "audited"


def test_teacher_may_be_a_file(tmp_path: Path) -> None:
    before, _, after = PICTURES.partition("[teacher]")
    student = after.partition("[student]")[2]
    for named, teacher in (
        ('file = "big.onnx"\nstd = [0.5]', OnnxTeacher(tmp_path / "big.onnx", std=0.5)),
        ('file = "big.pt2"', tmp_path / "big.pt2"),
    ):
        task = load_task(written(tmp_path, f"{before}[teacher]\n{named}\n[student]{student}"))
        assert task.teacher == teacher
        assert task.teacher_recipe is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "seed = 5",
            "sead = 5",
            r"line 16: \[split\] sead: unknown key \(did you mean 'seed'\?\); all",
        ),
        ("flip = true", "flop = true", r"line 36: \[augment\] flop: .*did you mean 'flip'"),
        ('name = "pets"', 'nam = "pets"', "name: this key is missing; give a string"),
        ("size = [24, 32]", "size = 24", r"line 7: \[picture\] size: found 24; allowed: a list of"),
        ("size = [24, 32]", "size = [24]", r"allowed: \[height, width\]"),
        ("size = [24, 32]", "size = [24, 0]", "at least 1"),
        ("size = [24, 32]", "size = [24, true]", "found True in the list"),
        ('media = "picture"', 'media = "pictures"', "did you mean 'picture'"),
        ('family = "conv"', 'family = "cnv"', r"line 27: \[student\] family: .*mean 'conv'"),
        (
            'family = "picture"',
            'family = "anomaly"',
            r"\[teacher\] family: .*allowed: conv, picture, tiny-resnet",
        ),
        ("epochs = 3", "epochs = 3.5", r"\[teacher.training\] epochs: found 3.5; allowed: a whole"),
        ("epochs = 3", "epochs = 0", "at least 1 epoch"),
        ("half = true", "half = 1", "true or false"),
        ("test = 0.25", "test = 1.5", "a share below 1, or a list"),
        ("[16, 24]]", "[8, 8]]", r"line 26: \[student\].*do not nest"),
        ("widths = [[8, 8], [16, 24]]", "kernel = 3", "channels: this key is missing"),
        ("strides = [2, 1]", "strides = [2]", "strides"),
        ('place = "folder"', 'place = "name"\npattern = "x"', "names neither a label nor a group"),
        ('place = "folder"', 'place = "table"', r"\[labels\] table: this key is missing"),
        ('classes = ["cat", "dog"]', 'classes = ["cat"]', "two classes"),
        ("flip = true", "flip = ", "not TOML: "),
    ],
)
def test_mistake_is_explained(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in PICTURES

    with pytest.raises(CloudError, match=reason):
        load_task(written(tmp_path, PICTURES.replace(old, new, 1)))


def test_only_families_that_read_sounds_are_allowed_for_sounds(tmp_path: Path) -> None:
    text = SOUNDS.replace('family = "sound"', 'family = "picture"')

    with pytest.raises(TaskError, match=r"found 'picture'; allowed: conv, sound$"):
        load_task(written(tmp_path, text))


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="cannot be read"):
        load_task(str(tmp_path / "none.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(TaskError, match="cannot be read"):
        load_task(str(tmp_path / "binary.toml"))


def test_missing_folder_is_said_when_the_data_is_loaded(tmp_path: Path) -> None:
    task = load_task(written(tmp_path, PICTURES))

    with pytest.raises(DatasetError, match="photos is not a folder"):
        task.load_checked(None, 0)
