import asyncio
import sqlite3
from pathlib import Path
from unittest import mock

import pytest
import sqlalchemy as sa
from tests.processes import until

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.fleet import commander as module
from nestling_cloud.fleet.commander import Commander
from nestling_cloud.fleet.wishes import Wishes
from nestling_cloud.telemetry.store import Store, store_url


@pytest.mark.parametrize(
    ("fault", "traceback"),
    [
        (sa.exc.OperationalError("SELECT", {}, sqlite3.OperationalError("disk I/O error")), False),
        (RuntimeError("nobody foresaw this"), True),
    ],
)
def test_what_keeps_devices_from_being_told_is_said_a_few_times_and_not_on_every_look(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
    traceback: bool,
) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    looks = mock.Mock(side_effect=fault)
    monkeypatch.setattr(Wishes, "for_devices", looks)

    async def look_often(commander: Commander) -> None:
        task = asyncio.create_task(commander.run(mock.AsyncMock()))
        await asyncio.to_thread(until, lambda: looks.call_count > 50)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])

    with Store(store_url(str(tmp_path / "store.sqlite"))) as store:
        asyncio.run(look_often(Commander(Wishes(store), Repository(tmp_path / "repository"))))

    assert len(caplog.records) == 2  # the first and the tenth
    assert [bool(record.exc_info) for record in caplog.records] == [traceback] * 2
    assert str(fault.orig if isinstance(fault, sa.exc.DBAPIError) else fault) in caplog.text
    assert "SELECT" not in caplog.text
