"""The store creates its tables once, and rejects those of another version."""

from contextlib import closing

import pytest
import sqlalchemy as sa

from nestling_cloud.store import tables
from nestling_cloud.store.database import Database
from nestling_cloud.store.schema import VERSION
from nestling_cloud.store.store import Store, StoreError
from tests.support.receipts import make_batch
from tests.support.stored import add_batch, count_receipts


def test_existing_tables_of_this_version_are_kept(database: str) -> None:
    with Store(database) as store:
        add_batch(store, "pi-1", make_batch(1, 2))

    for _ in range(2):
        with Store(database) as store:
            assert count_receipts(store) == 2


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_store_of_another_version_is_rejected_and_unchanged(database: str, version: int) -> None:
    with Store(database) as store:
        add_batch(store, "pi-1", make_batch(1, 2))
    set_version(database, version)

    with pytest.raises(StoreError, match=f"version {version} .* start with an empty store"):
        Store(database)

    set_version(database, VERSION)
    with Store(database) as store:
        assert count_receipts(store) == 2


def test_store_from_before_there_were_versions_is_refused(database: str) -> None:
    run(database, "CREATE TABLE receipts (device VARCHAR(64))")

    with pytest.raises(StoreError, match=r"version 1 .* start with an empty store"):
        Store(database)


def test_failed_preparation_leaves_the_database_as_it_was(database: str) -> None:
    run(database, "CREATE TABLE other (device VARCHAR(64))")
    run(database, "CREATE INDEX outbox_branches ON other (device)")  # the name of one of ours

    with pytest.raises(StoreError, match="cannot open the receipt store"):
        Store(database)

    assert names_of_tables(database) == ["other"]
    run(database, "DROP TABLE other")
    with Store(database) as store:
        assert count_receipts(store) == 0


def run(database: str, statement: str) -> None:
    with closing(Database(database)) as opened, opened.writing() as connection:
        connection.exec_driver_sql(statement)


def names_of_tables(database: str) -> list[str]:
    with closing(Database(database)) as opened, opened.writing() as connection:
        return sa.inspect(connection).get_table_names()


def set_version(database: str, version: int) -> None:
    with closing(Database(database)) as opened, opened.writing() as connection:
        connection.execute(sa.update(tables.SCHEMA_VERSION).values(version=version))
