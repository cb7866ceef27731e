import contextlib
import sqlite3
from pathlib import Path

import pytest

from nestling_cloud.store.delivery import Delivery
from nestling_cloud.store.store import Store, StoreError, store_url
from tests.support.receipts import make_batch
from tests.support.stored import add_batch


def test_other_programs_can_read_receipts_while_the_store_is_open(tmp_path: Path) -> None:
    path = tmp_path / "receipts.sqlite"
    with Store(store_url(str(path))) as store, contextlib.closing(sqlite3.connect(path)) as other:
        add_batch(store, "pi-1", make_batch(1))

        rows = other.execute("SELECT device, route FROM receipts").fetchall()
        assert rows == [("pi-1", "capacity-2")]
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/x.sqlite", "nonsense://", "not a url"])
def test_unusable_url_raises_store_error(url: str) -> None:
    with pytest.raises(StoreError, match="cannot open the receipt store"):
        Store(url)


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_connections_use_wal_and_full_synchronous_mode(tmp_path: Path, how: str) -> None:
    with (
        Store(store_url(str(tmp_path / "receipts.sqlite"))) as store,
        getattr(store, how)() as connection,
    ):
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous")
        ]

    assert settings == ["wal", 2]  # 2 is FULL


@pytest.mark.parametrize("damage", ["contiguous = 'x'", "chain = 'x'", "highest = 'x'"])
def test_damaged_outbox_row_does_not_keep_receipts_from_being_stored(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "receipts.sqlite"
    with Store(store_url(str(path))) as store:
        add_batch(store, "porch", make_batch(1, 2))
        with sqlite3.connect(path) as database:
            database.execute(f"UPDATE outboxes SET {damage}")  # noqa: S608

        added = store.add_all(
            [
                Delivery(device="porch", batch=make_batch(2, 3, acknowledged=1)),
                Delivery(device="attic", batch=make_batch(1)),
            ]
        )

        assert added.new == 2
        assert set(added.contiguous.values()) == {3, 1}
        assert [row.sequence for row in store.receipts("porch")] == [1, 2, 3]
