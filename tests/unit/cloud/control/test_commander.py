import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from nestling.sparkplug_metrics import MetricValue
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.control import commander
from nestling_cloud.control.commander import Commander
from nestling_cloud.control.targets import Targets
from nestling_cloud.store.store import Store, store_url

POLLS = 30


class CountedTargets(Targets):
    """Counts reads, and fails them on request."""

    def __init__(self, store: Store, *, fails: bool) -> None:
        super().__init__(store)
        self.reads = 0
        self.enough = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._fails = fails

    def for_devices(self, devices: Iterable[str]) -> dict[str, float | None]:
        self.reads += 1
        if self.reads > POLLS:
            self._loop.call_soon_threadsafe(self.enough.set)
        if self._fails:
            raise OSError("no space left on device")
        return super().for_devices(devices)


async def send(_device: str, _values: Mapping[str, MetricValue | None]) -> bool:
    return True


async def poll_often(store: Store, repository: Path, *, fails: bool) -> None:
    targets = CountedTargets(store, fails=fails)
    running = asyncio.create_task(Commander(targets, Repository(repository)).run(send))
    await targets.enough.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("fails", ["store", "repository"])
def test_repeated_read_failure_logs_few_lines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fails: str,
) -> None:
    monkeypatch.setattr(commander, "_POLL_S", 0.0)
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "desired.binpb").write_bytes(b"damaged")

    with Store(store_url(str(tmp_path / "receipts.sqlite"))) as store:
        asyncio.run(poll_often(store, repository, fails=fails == "store"))

    assert 1 <= len(caplog.records) <= 3  # the first, the tenth, and one more on a slow machine
