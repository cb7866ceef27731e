import shutil
from pathlib import Path

import pytest

from nestling_cloud.bundles.release import release_bundle
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.learning.pipeline import learn
from nestling_cloud.progress import SilentProgress
from tests.support.tiny_task import TINY_TASK, tiny_splits


def test_refused_release_changes_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    repository = Repository(shutil.copytree(tiny_bundle, tmp_path / "repository"))
    before, parts = repository.desired(), sorted(repository.root.rglob("*"))
    learned = learn(TINY_TASK, tiny_splits(), seed=1, progress=SilentProgress())

    with pytest.raises(RepositoryError, match="is not above the current 1"):
        release_bundle(repository, TINY_TASK, learned, release=1)

    assert repository.desired() == before
    assert (repository.root / "models") in parts
    assert sorted((repository.root / "models").iterdir()) == [
        path for path in parts if path.parent.name == "models"
    ]
