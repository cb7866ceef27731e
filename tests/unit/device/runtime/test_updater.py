import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling_device.bundle.loaded_bundle import LoadedBundle
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.runtime.updater import Updater
from tests.support.hand_bundle import hand_parts

NEW = "small-2-new"
OLD = "small-1-old"


class Cloud:
    """Brings a bundle when it is let, or fails as often as it is told to."""

    def __init__(self, folder: Path, *, failures: int = 0) -> None:
        self.parts = hand_parts(folder)
        self.let = threading.Event()
        self.let.set()
        self.budgets: list[int] = []
        self._failures = failures

    def install(self, memory_bytes: int) -> LoadedBundle:
        self.budgets.append(memory_bytes)
        assert self.let.wait(20)
        if len(self.budgets) <= self._failures:
            raise DeliveryError("no way through")
        return self.parts


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def polls(
    updater: Updater, *, desired: str = NEW, active: str = OLD
) -> Iterator[LoadedBundle | None]:
    """Ask for input after input, each time when what is under way has ended."""
    while True:
        found = updater.poll(desired=desired, active=active, memory_bytes=5000)
        if updater._thread is not None:
            updater._thread.join()
        yield found


def test_release_is_fetched_beside_the_inputs_and_handed_over_between_two(cloud: Cloud) -> None:
    updater = Updater(cloud.install, "pi-1")
    cloud.let.clear()

    meanwhile = [
        updater.poll(desired=NEW, active=OLD, memory_bytes=memory) for memory in (5000, 6000, 7000)
    ]
    cloud.let.set()
    _, found = (next(polls(updater)) for _ in range(2))

    assert meanwhile == [None, None, None]
    assert found is cloud.parts
    assert cloud.budgets == [5000]


@pytest.mark.parametrize("desired", ["", OLD])
def test_nothing_is_fetched_without_another_release(cloud: Cloud, desired: str) -> None:
    updater = Updater(cloud.install, "pi-1")

    asked = polls(updater, desired=desired)

    assert [next(asked) for _ in range(3)] == [None, None, None]
    assert cloud.budgets == []


def test_failed_update_is_tried_again_after_ever_longer_pauses(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, failures=2)
    asked = polls(Updater(cloud.install, "pi-1"))

    tries = []
    found = []
    for _ in range(9):
        found.append(next(asked))
        tries.append(len(cloud.budgets))

    # begun, failed, left alone for 1; begun, failed, left alone for 2; begun, there it is
    assert tries == [1, 1, 1, 2, 2, 2, 2, 3, 3]
    assert found == [None] * 8 + [cloud.parts]


def test_cloud_that_names_one_release_and_delivers_another_is_not_asked_for_every_input(
    cloud: Cloud,
) -> None:
    asked = polls(Updater(cloud.install, "pi-1"), active=cloud.parts.version)

    found = [next(asked) for _ in range(20)]

    assert found == [None] * 20
    assert len(cloud.budgets) == 4


def test_fault_that_nobody_foresaw_is_a_failed_update(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = Cloud(tmp_path)

    def broken(memory_bytes: int) -> LoadedBundle:
        cloud.budgets.append(memory_bytes)
        raise OverflowError("a number that no file can hold")

    asked = polls(Updater(broken, "pi-1"))

    assert [next(asked) for _ in range(4)] == [None] * 4
    assert len(cloud.budgets) == 2
    assert "this should not happen" in caplog.text
