"""A copied, locked or damaged state folder loses no answer silently."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.store.store import Store, store_url
from nestling_cloud.store.time_range import TimeRange
from tests.support import cloud_process
from tests.support.cloud_process import Cloud
from tests.support.device_process import DeviceProcess
from tests.support.hand_bundle import hand_repository
from tests.support.processes import until
from tests.support.stored import count_receipts


@pytest.fixture
def cloud(tiny_teacher: bytes, tmp_path: Path) -> Iterator[Cloud]:
    repository, store, log = (tmp_path / name for name in ("repository", "receipts", "cloud.log"))
    hand_repository(repository, tiny_teacher)
    command = cloud_process.command(repository, store, "--json")
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            yield cloud_process.start(process, store, log)
        finally:
            process.kill()
            sys.stderr.write(log.read_text())


def device(folder: Path, cloud: Cloud, *arguments: str) -> DeviceProcess:
    quick = ("--interval", "0.01", "--id", "porch", *arguments)
    return DeviceProcess(folder, cloud=cloud.grpc, broker=str(cloud.broker), arguments=quick)


def stored(cloud: Cloud) -> int:
    with Store(store_url(str(cloud.store))) as store:
        rows = Counter((row.outbox_id, row.sequence) for row in store.receipts())
        assert set(rows.values()) <= {1}
        return count_receipts(store)


def test_two_devices_with_one_state_folder_lose_nothing(cloud: Cloud, tmp_path: Path) -> None:
    with device(tmp_path / "first", cloud, "--count", "5") as alone:
        assert alone.end() == 0
    shutil.copytree(tmp_path / "first", tmp_path / "clone")

    with ExitStack() as stack:
        both = [
            stack.enter_context(device(tmp_path / name, cloud, "--count", "30"))
            for name in ("first", "clone")
        ]
        assert [each.end() for each in both] == [0, 0]

    assert [each.stderr for each in both if "not stored" in each.stderr] == []
    assert stored(cloud) == 5 + 30 + 30
    with Store(store_url(str(cloud.store))) as store:
        whole = TimeRange(since_ms=0, until_ms=2**42)
        view = MetricQueries(store).device("porch", whole)
        assert view is not None
        assert (view.copies, MetricQueries(store).fleet(whole).shared) == (2, ("porch",))


def test_clones_of_clones_made_while_the_device_runs_lose_nothing(
    cloud: Cloud, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        devices = [stack.enter_context(device(tmp_path / "1", cloud))]
        for number in (1, 2, 3):
            devices[-1].take(10)
            # Like `cp -a` of a card in a running device; SQLite recovers the copy.
            shutil.copytree(tmp_path / str(number), tmp_path / str(number + 1))
            devices.append(stack.enter_context(device(tmp_path / str(number + 1), cloud)))
        devices[-1].take(10)
        for each in devices:
            each.process.terminate()
        assert [each.end() for each in devices] == [0, 0, 0, 0]

    answers = sum(len(each.answers) for each in devices)
    until(lambda: stored(cloud) >= answers)
    assert stored(cloud) == answers


def test_device_waits_for_a_locked_outbox_and_loses_nothing(cloud: Cloud, tmp_path: Path) -> None:
    with device(tmp_path / "state", cloud) as running:
        running.take(3)
        path = tmp_path / "state" / "outbox.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            until(lambda: "outbox.db is locked by another program" in running.stderr)
        running.take(3)

        assert running.end(signal.SIGTERM) == 0

    until(lambda: stored(cloud) == len(running.answers))


def test_outbox_damaged_under_a_running_device_ends_it_with_an_error(
    cloud: Cloud, tmp_path: Path
) -> None:
    with device(tmp_path / "state", cloud) as running:
        running.take(3)
        for path in (tmp_path / "state").glob("outbox.db*"):
            with path.open("r+b") as file:
                file.write(b"\xa5" * path.stat().st_size)

        assert running.end() == 1

    assert "outbox.db" in running.stderr
    assert "Traceback" not in running.stderr
