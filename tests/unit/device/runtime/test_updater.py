import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.runtime.updater import Updater
from tests.support.hand_bundle import load_hand_bundle

NEW = "small-2-new"
OLD = "small-1-old"


class Cloud:
    """Delivers a bundle once `released` is set, after a given number of failures."""

    def __init__(self, folder: Path, *, failures: int = 0) -> None:
        self.bundle = load_hand_bundle(folder)
        self.released = threading.Event()
        self.released.set()
        self.budgets: list[int] = []
        self._failures = failures

    def install(self, memory_bytes: int) -> LoadedBundle:
        self.budgets.append(memory_bytes)
        assert self.released.wait(20)
        if len(self.budgets) <= self._failures:
            raise DeliveryError("the cloud cannot be reached")
        return self.bundle


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def polls(
    updater: Updater, *, desired: str = NEW, active: str = OLD
) -> Iterator[LoadedBundle | None]:
    """Poll for one input after another, waiting for each running installation to end."""
    while True:
        found = updater.poll(desired=desired, active=active, memory_bytes=5000)
        if updater._thread is not None:
            updater._thread.join()
        yield found


def test_release_is_installed_in_the_background_and_returned_by_a_later_poll(cloud: Cloud) -> None:
    updater = Updater(cloud.install, "pi-1")
    cloud.released.clear()

    meanwhile = [
        updater.poll(desired=NEW, active=OLD, memory_bytes=memory) for memory in (5000, 6000, 7000)
    ]
    cloud.released.set()
    _, installed = (next(polls(updater)) for _ in range(2))

    assert meanwhile == [None, None, None]
    assert installed is cloud.bundle
    assert cloud.budgets == [5000]


@pytest.mark.parametrize("desired", ["", OLD])
def test_nothing_is_installed_without_a_new_release(cloud: Cloud, desired: str) -> None:
    updater = Updater(cloud.install, "pi-1")

    results = polls(updater, desired=desired)

    assert [next(results) for _ in range(3)] == [None, None, None]
    assert cloud.budgets == []


def test_failed_update_is_retried_after_pauses_that_double(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, failures=2)
    results = polls(Updater(cloud.install, "pi-1"))

    attempts = []
    found = []
    for _ in range(9):
        found.append(next(results))
        attempts.append(len(cloud.budgets))

    # started, failed, pause of 1; started, failed, pause of 2; started, installed
    assert attempts == [1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert found == [None] * 8 + [cloud.bundle]


def test_pause_after_the_cloud_delivers_another_release_than_announced(
    cloud: Cloud,
) -> None:
    results = polls(Updater(cloud.install, "pi-1"), active=cloud.bundle.version)

    found = [next(results) for _ in range(20)]

    assert found == [None] * 20
    assert len(cloud.budgets) == 4


def test_unexpected_exception_is_a_failed_update(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = Cloud(tmp_path)

    def broken(memory_bytes: int) -> LoadedBundle:
        cloud.budgets.append(memory_bytes)
        raise OverflowError("unexpected")

    results = polls(Updater(broken, "pi-1"))

    assert [next(results) for _ in range(4)] == [None] * 4
    assert len(cloud.budgets) == 2
    assert "unexpected error while installing" in caplog.text
