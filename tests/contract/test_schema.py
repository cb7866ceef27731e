"""The store's tables, on every database: made once, and refused in another version."""

import pytest
import sqlalchemy as sa

from nestling_cloud.store import tables
from nestling_cloud.store.database import Database
from nestling_cloud.store.schema import VERSION
from nestling_cloud.store.store import Store, StoreError
from tests.support.receipts import make_batch


def test_store_is_left_alone_where_its_tables_are_of_this_version(database: str) -> None:
    with Store(database) as store:
        store.add("pi-1", make_batch(1, 2))

    for _ in range(2):
        with Store(database) as store:
            assert store.count() == 2


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_store_of_another_version_is_refused_and_left_as_it_was(
    database: str, version: int
) -> None:
    with Store(database) as store:
        store.add("pi-1", make_batch(1, 2))
    set_version(database, version)

    with pytest.raises(StoreError, match=f"version {version} .* start with an empty store"):
        Store(database)

    set_version(database, VERSION)
    with Store(database) as store:
        assert store.count() == 2


def test_store_from_before_there_were_versions_is_refused(database: str) -> None:
    opened = Database(database)
    with opened.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE receipts (device VARCHAR(64))")
    opened.close()

    with pytest.raises(StoreError, match=r"version 1 .* start with an empty store"):
        Store(database)


def test_failed_preparation_leaves_the_database_as_it_was(database: str) -> None:
    opened = Database(database)
    with opened.writing() as connection:
        connection.exec_driver_sql("CREATE VIEW fleet_1h AS SELECT 1 AS one")
    with pytest.raises(StoreError, match="cannot open the receipt store"):
        Store(database)
    with opened.writing() as connection:
        assert sa.inspect(connection).get_table_names() == []
        connection.exec_driver_sql("DROP VIEW fleet_1h")
    opened.close()

    with Store(database) as store:
        assert store.count() == 0


def set_version(database: str, version: int) -> None:
    opened = Database(database)
    with opened.writing() as connection:
        connection.execute(sa.update(tables.SCHEMA_VERSION).values(version=version))
    opened.close()
