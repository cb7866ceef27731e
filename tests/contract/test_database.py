"""The store copes with server restarts, other programs and a full disk."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from nestling_cloud.store.store import Store, store_url
from tests.support.postgres import Postgres
from tests.support.receipts import make_batch
from tests.support.stored import add_batch, count_receipts, settled_to

_FULL_AT_PAGES = 60  # of 4 KiB


def test_store_works_after_the_server_ended_all_connections(postgres_server: Postgres) -> None:
    with Store(postgres_server.new_database()) as store:
        add_batch(store, "pi-1", make_batch(1))
        with postgres_server.connect() as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname LIKE 'test_%' AND pid <> pg_backend_pid()"
            )

        assert add_batch(store, "pi-1", make_batch(1, 2)) == 1
        assert count_receipts(store) == 2


def test_other_programs_read_commits_of_a_database_that_is_open_twice(tmp_path: Path) -> None:
    path = tmp_path / "receipts.sqlite"
    reading = (
        "import sqlite3, sys; "
        "print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM receipts').fetchone())"
    )

    with Store(store_url(str(path))) as store, Store(store_url(str(path))):
        found = []
        for sequence in (1, 2):  # another program opens and closes the database between the two
            add_batch(store, "pi-1", make_batch(sequence))
            done = subprocess.run(
                [sys.executable, "-c", reading, path], capture_output=True, text=True, check=True
            )
            found.append(int(done.stdout))

    assert found == [1, 2]


def test_full_disk_stores_a_batch_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "receipts.sqlite"

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {_FULL_AT_PAGES}")

    def fill(store: Store) -> None:
        for first in range(1, 10_000, 100):
            add_batch(store, "pi-1", make_batch(*range(first, first + 100)))

    with Store(store_url(str(path))) as store:
        sa.event.listen(store._database.engine, "connect", limit)
        store._database.engine.dispose()
        with pytest.raises(sa.exc.OperationalError, match="full"):
            fill(store)
        stored = settled_to(store, "pi-1", "outbox")
        assert stored > 0
        assert stored == count_receipts(store) == len(list(store.receipts()))
    with Store(store_url(str(path))) as store, contextlib.closing(sqlite3.connect(path)) as other:
        assert add_batch(store, "pi-1", make_batch(*range(stored + 1, stored + 101))) == 100
        assert other.execute("SELECT count(*), sum(answers) FROM fleet_1h").fetchone() == (
            1,
            stored + 100,
        )
