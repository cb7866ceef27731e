"""The teacher of a new release is loaded while the old one answers."""

import asyncio
import logging
import threading
from pathlib import Path

import numpy as np
import pytest

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.serving.served_models import ServedModels
from tests.support.hand_bundle import hand_release, hand_repository
from tests.support.processes import until

ROWS = np.ones((1, 2, 3), np.float32)


@pytest.fixture
def repository(tmp_path: Path, tiny_teacher: bytes) -> Repository:
    hand_repository(tmp_path, tiny_teacher)
    return Repository(tmp_path)


async def until_served(models: ServedModels, version: str) -> None:
    await asyncio.to_thread(until, lambda: models.newest.version == version)


def version_of(repository: Repository) -> str:
    return repository.manifest().cloud.onnx.sha256[:8]


def test_model_is_found_by_its_name_and_version(tiny_teacher: bytes) -> None:
    one, two, other = (CloudModel(name, tiny_teacher) for name in ("a", "a", "b"))

    async def scenario() -> list[str | None]:
        async with ServedModels([("1", one), ("2", two), ("3", other)]) as models:
            asked = [("a", ""), ("a", "1"), ("a", "2"), ("a", "3"), ("b", ""), ("c", ""), ("", "1")]
            found = [models.find(name, version) for name, version in asked]
            return [None if model is None else model.version for model in found]

    assert asyncio.run(scenario()) == ["2", "1", "2", None, "3", None, None]


def test_new_release_is_served_beside_the_old_one(
    repository: Repository, tiny_teacher: bytes
) -> None:
    old = version_of(repository)

    async def scenario() -> None:
        async with ServedModels.of_release(repository) as models:
            watch = asyncio.create_task(models.watch(repository))
            hand_release(repository, release=2, teacher=tiny_teacher + b"\x1a\x00")
            new = version_of(repository)
            await until_served(models, new)
            assert [model.version for model in models.all] == [old, new]
            for model in models.all:
                assert (await model.batcher.submit(ROWS)).shape == (1, 4)
            watch.cancel()

    asyncio.run(scenario())


def test_release_with_the_same_teacher_loads_nothing(
    repository: Repository, tiny_teacher: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nestling_cloud.serving.served_models._WATCH_S", 0.01)
    versions = [tiny_teacher, tiny_teacher + b"\x1a\x00"]

    async def scenario() -> list[str]:
        async with ServedModels.of_release(repository) as models:
            first = models.newest.batcher
            watch = asyncio.create_task(models.watch(repository))
            hand_release(repository, release=2, teacher=versions[0])
            hand_release(repository, release=3, teacher=versions[1])
            await until_served(models, version_of(repository))
            hand_release(repository, release=4, teacher=versions[0])
            await until_served(models, version_of(repository))
            assert models.newest.batcher is first
            watch.cancel()
            return [model.version for model in models.all]

    assert len(asyncio.run(scenario())) == 2


def test_only_the_newest_three_stay(
    repository: Repository, tiny_teacher: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nestling_cloud.serving.served_models._WATCH_S", 0.01)

    async def scenario() -> None:
        async with ServedModels.of_release(repository) as models:
            oldest = models.newest
            watch = asyncio.create_task(models.watch(repository))
            for release in range(2, 6):
                teacher = tiny_teacher + b"\x1a\x00" * release
                hand_release(repository, release=release, teacher=teacher)
                await until_served(models, version_of(repository))
            assert len(models.all) == 3
            assert models.find(oldest.signature.model, oldest.version) is None
            watch.cancel()

    asyncio.run(scenario())


def test_teacher_that_cannot_be_loaded_leaves_the_old_one(
    repository: Repository,
    tiny_teacher: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("nestling_cloud.serving.served_models._WATCH_S", 0.01)
    old = version_of(repository)

    async def scenario() -> None:
        async with ServedModels.of_release(repository) as models:
            watch = asyncio.create_task(models.watch(repository))
            hand_release(repository, release=2, teacher=b"no model")
            await asyncio.to_thread(until, lambda: "is not served" in caplog.text)
            assert models.newest.version == old
            hand_release(repository, release=3, teacher=tiny_teacher + b"\x1a\x00")
            await until_served(models, version_of(repository))
            watch.cancel()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())

    assert caplog.text.count("is not served") == 1


def test_teacher_that_leaves_still_answers_what_waits_for_it(tiny_teacher: bytes) -> None:
    class Slow(CloudModel):
        def run(self, rows: np.ndarray) -> np.ndarray:
            threading.Event().wait(0.05)  # nobody sets it
            return super().run(rows)

    async def scenario() -> list[tuple[int, ...]]:
        models = [(str(number), Slow("a", tiny_teacher)) for number in range(3)]
        async with ServedModels(models, threads=1) as served:
            oldest = served.all[0].batcher
            calls = [asyncio.create_task(oldest.submit(ROWS)) for _ in range(3)]
            await asyncio.sleep(0)
            served._use("3", CloudModel("a", tiny_teacher))
            assert served.find("a", "0") is None
            return [answer.shape for answer in await asyncio.gather(*calls)]

    assert asyncio.run(scenario()) == [(1, 4)] * 3


def test_empty_repository_has_no_model_to_serve(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="no bundle has been released"):
        ServedModels.of_release(Repository(tmp_path))
