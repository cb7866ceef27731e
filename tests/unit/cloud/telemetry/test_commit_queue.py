import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nestling_cloud.metrics.fleet_health import fleet_condition
from nestling_cloud.store.device_registry import Report
from nestling_cloud.store.store import CommitResult, Store, store_url
from nestling_cloud.telemetry.commit_queue import CommitQueue

DEADLINE_S = 20


class HeldStore(Store):
    """A store whose commits wait for `may_begin`, and then raise `fault` if it is set."""

    fault: sa.exc.SQLAlchemyError | None = None

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.reached, self.may_begin = threading.Event(), threading.Event()

    def add_all(self, *args: object) -> CommitResult:
        self.reached.set()
        assert self.may_begin.wait(DEADLINE_S)
        if self.fault is not None:
            raise self.fault
        return super().add_all(*args)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HeldStore]:
    with HeldStore(store_url(str(tmp_path / "store.sqlite"))) as opened:
        yield opened
        opened.may_begin.set()


@pytest.mark.parametrize("fault", [None, sa.exc.OperationalError("", {}, OSError("disk full"))])
def test_cancelled_commit_ends_before_devices_are_marked_offline(
    store: HeldStore, fault: sa.exc.SQLAlchemyError | None
) -> None:
    store.fault = fault
    commits = CommitQueue(store)
    commits.report(Report(device="porch", seen_ms=1, online=True))

    async def lose_the_connection() -> None:
        before = asyncio.create_task(commits.commit())
        assert await asyncio.to_thread(store.reached.wait, DEADLINE_S)
        before.cancel()
        await asyncio.wait([before])
        asyncio.get_running_loop().call_later(0.1, store.may_begin.set)
        await commits.end_all()
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(lose_the_connection())

    condition = fleet_condition(store)
    assert condition.connected == 0
    assert condition.known == (0 if fault else 1)
    assert [report.online for report in commits._reports.values()] == ([False] if fault else [])
