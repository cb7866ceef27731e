"""The front end of a picture task: from the bundle to a device."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.bundles.fingerprint import fingerprint
from nestling_cloud.bundles.release_check import UnfitBundleError, try_bundle
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.train_release import train_next
from nestling_cloud.datasets.picture_graph import picture_graph
from nestling_cloud.datasets.proposal import Wishes
from nestling_cloud.progress import SilentProgress
from nestling_cloud.tasks import Task, load_task
from nestling_cloud.tasks.augmentation import Augmentation
from nestling_cloud.tasks.new_task import new_task, save
from nestling_core.media.front_end import PictureFrontEnd
from nestling_core.media.pictures import decode_picture
from nestling_core.nest.bundle_files import every_blob, shared_blobs
from tests.support.folders import write_pictures

SMALL = """
[teacher]
family = "conv"
width = 4
[teacher.training]
epochs = 1
threads = 1
[student]
family = "conv"
strides = [2, 2]
widths = [[4, 4], [4, 8]]
[student.training]
epochs = 1
threads = 1
"""


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setenv("NESTLING_CACHE", str(tmp_path / "cache"))
    write_pictures(tmp_path / "shapes", 12)
    made = new_task("picture", tmp_path / "shapes", Wishes(size=(8, 8)), SilentProgress())
    path = tmp_path / "shapes.toml"
    save(made, path)
    path.write_text(path.read_text().partition("[teacher]")[0] + SMALL)
    return load_task(str(path))


def test_bundle_carries_the_graph_with_which_its_inputs_were_made(
    task: Task, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "repository")
    splits = task.load_checked(None, 0)
    train_next(repository, task, splits, seed=0, progress=SilentProgress())

    manifest = repository.manifest()
    assert manifest.front_end in shared_blobs(manifest)
    assert manifest.front_end in every_blob(manifest)
    front_end = PictureFrontEnd(repository.read_whole(manifest.front_end), manifest.signature)
    on_device = {
        front_end.input_of(decode_picture(path.read_bytes())).tobytes()
        for path in (tmp_path / "shapes").rglob("*.*g")
    }
    assert {window.tobytes() for window in splits.train.inputs[:]} <= on_device
    golden = repository.read_whole(manifest.golden)
    assert len(golden) > np.prod(task.signature.shape)


def test_bundle_whose_graph_does_not_suit_its_task_is_not_released(
    task: Task, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "repository")
    train_next(repository, task, task.load_checked(None, 0), seed=0, progress=SilentProgress())
    manifest = repository.manifest()
    teacher = repository.read_model(manifest.cloud)
    for graph in (b"no graph", picture_graph(Signature(shape=[3, 9, 9]))):
        manifest.front_end.CopyFrom(repository.add(graph))
        with pytest.raises(UnfitBundleError, match="failed its check"):
            try_bundle(manifest, repository.read_whole, teacher)


def test_change_of_the_augmentation_trains_again(task: Task) -> None:
    splits = task.load_checked(None, 0)
    prints = {
        fingerprint(dataclasses.replace(task, augment=augment), splits, 0)
        for augment in (Augmentation(), Augmentation(shift=1), Augmentation(shift=2))
    }

    assert len(prints) == 3
