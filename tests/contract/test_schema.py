"""Stores that earlier versions made, on every database."""

import pytest
import sqlalchemy as sa
from tests.support.receipts import NOW_MS, make_batch

from nestling_cloud.metrics.queries import Figures
from nestling_cloud.store import device_registry, tables
from nestling_cloud.store.database import Database
from nestling_cloud.store.schema import VERSION
from nestling_cloud.store.store import Store, StoreError
from nestling_cloud.store.time_range import TimeRange

# As the first version's metadata made them.
_FIRST_VERSION = """
CREATE TABLE outboxes (
    device VARCHAR(64) NOT NULL, outbox_id VARCHAR(64) NOT NULL, contiguous BIGINT NOT NULL,
    redelivered BIGINT NOT NULL, rejected BIGINT NOT NULL, PRIMARY KEY (device, outbox_id)
);
CREATE TABLE gaps (
    device VARCHAR(64) NOT NULL, outbox_id VARCHAR(64) NOT NULL, first_sequence BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL, reason VARCHAR(16) NOT NULL,
    PRIMARY KEY (device, outbox_id, first_sequence)
);
CREATE TABLE receipts (
    device VARCHAR(64) NOT NULL, outbox_id VARCHAR(64) NOT NULL, sequence BIGINT NOT NULL,
    input_index BIGINT NOT NULL, answered_at_ms BIGINT NOT NULL,
    bundle_version VARCHAR(200) NOT NULL, route VARCHAR(32) NOT NULL, reason VARCHAR(32) NOT NULL,
    answer BIGINT NOT NULL, device_answer BIGINT, resident_capacity BIGINT NOT NULL,
    latency_ms DOUBLE PRECISION NOT NULL, latency_provenance VARCHAR(16) NOT NULL,
    wall_ms DOUBLE PRECISION NOT NULL, energy_compute_mj DOUBLE PRECISION NOT NULL,
    energy_radio_mj DOUBLE PRECISION NOT NULL, energy_provenance VARCHAR(16) NOT NULL,
    bytes_up BIGINT NOT NULL, bytes_down BIGINT NOT NULL, budget_memory_bytes BIGINT NOT NULL,
    budget_latency_ms DOUBLE PRECISION NOT NULL, budget_energy_mj DOUBLE PRECISION NOT NULL,
    budget_link_mbit_s DOUBLE PRECISION NOT NULL, budget_link_rtt_ms DOUBLE PRECISION NOT NULL,
    budget_battery DOUBLE PRECISION NOT NULL, budget_offload_share DOUBLE PRECISION NOT NULL,
    success JSON NOT NULL, PRIMARY KEY (device, outbox_id, sequence)
);
INSERT INTO outboxes VALUES ('pi-1', 'outbox', 3, 2, 1), ('pi-2', 'outbox', 4, 0, 0);
INSERT INTO gaps VALUES ('pi-1', 'outbox', 2, 2, 'rejected'), ('pi-2', 'outbox', 1, 4, 'dropped'),
    ('pi-2', 'outbox', 9, 9, 'rejected')
"""
_RECEIPT = """
INSERT INTO receipts VALUES ('{device}', 'outbox', {sequence}, {sequence}, {at_ms}, 'tiny-1',
    '{route}', 'accepted', 1, NULL, 2, 1.5, 'measured', 1, 2.0, {radio_mj}, 'modelled', 10, 20,
    1, 1, 1, 1, 1, 1, 0.5, '[0.5, 0.75]')
"""


def receipt(device: str, sequence: int, route: str, radio_mj: float) -> str:
    return _RECEIPT.format(
        device=device, sequence=sequence, at_ms=NOW_MS + sequence, route=route, radio_mj=radio_mj
    )


@pytest.fixture
def old(database: str) -> str:
    """A database that the first version filled."""
    statements = [
        *_FIRST_VERSION.split(";"),
        receipt("pi-1", 1, "cloud", 0.5),
        receipt("pi-1", 3, "capacity-2", 0),
        receipt("pi-1", 6, "capacity-2", 0),
    ]
    opened = Database(database)
    with opened.writing() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    opened.close()
    return database


def test_store_of_the_first_version_is_brought_up_to_date(old: str) -> None:
    with Store(old) as store:
        rows = list(store.receipts())
        assert [(row.device, row.sequence) for row in rows] == [("pi-1", n) for n in (1, 3, 6)]
        assert rows[0].success == (0.5, 0.75)
        assert [row.energy_radio_provenance for row in rows] == ["modelled", "none", "none"]
        assert [row.energy_compute_provenance for row in rows] == ["modelled"] * 3
        assert {row.offload_energy_provenance for row in rows} == {"none"}
        assert (store.count(), store.redelivered(), store.rejected()) == (3, 2, 1)
        assert store.dropped() == 4


def test_outboxes_of_the_first_version_go_on_exactly_once(old: str) -> None:
    with Store(old) as store:
        assert store.add("pi-1", make_batch(1, 3, 4, 6)) == 1
        assert store.contiguous("pi-1", "outbox") == 4
        assert store.add("pi-1", make_batch(5)) == 1
        assert store.contiguous("pi-1", "outbox") == 6
        assert store.add("pi-2", make_batch(*range(5, 9))) == 4
        assert store.contiguous("pi-2", "outbox") == 9


def test_figures_of_the_first_versions_receipts_are_there(old: str) -> None:
    with Store(old) as store:
        figures = Figures(store)
        wanted = TimeRange(since_ms=NOW_MS, until_ms=NOW_MS + 10)

        view = figures.fleet(wanted)

        assert view.totals.answers == 3
        assert [route.route for route in view.totals.routes] == ["capacity-2", "cloud"]
        (row,), _ = figures.devices()
        assert (row.device, row.answers, row.last_seen_ms) == ("pi-1", 3, NOW_MS + 6)


def drop_lineage(connection: sa.Connection) -> None:
    """Take away what the fourth version added."""
    connection.exec_driver_sql("DROP INDEX outbox_branches")
    for column in ("chain", "seen_ms", "previous_id", "branch"):
        connection.exec_driver_sql(f"ALTER TABLE outboxes DROP COLUMN {column}")
    connection.exec_driver_sql("ALTER TABLE gaps DROP COLUMN chain")
    connection.exec_driver_sql("ALTER TABLE receipts DROP COLUMN fingerprint")


def test_outboxes_of_the_third_version_go_on(database: str) -> None:
    with Store(database) as store:
        store.add("pi-1", make_batch(1, 2, 4))
        with store.writing() as connection:
            drop_lineage(connection)
            connection.execute(sa.update(tables.SCHEMA_VERSION).values(version=3))

    with Store(database) as store:
        assert store.add("pi-1", make_batch(2, 3)) == 1
        assert store.contiguous("pi-1", "outbox") == 4


def test_devices_of_the_second_version_are_kept_without_a_word_on_drift(
    database: str,
) -> None:
    with Store(database) as store:
        store.add_all([], [device_registry.Report(device="pi-1", seen_ms=NOW_MS, capacity=2)])
        with store.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE devices DROP COLUMN drifting")
            drop_lineage(connection)
            connection.execute(sa.update(tables.SCHEMA_VERSION).values(version=2))

    with Store(database) as store:
        ((row,), _) = Figures(store).devices()
        assert (row.device, row.capacity, row.drifting) == ("pi-1", 2, None)
        store.add_all([], [device_registry.Report(device="pi-1", seen_ms=NOW_MS, drifting=True)])
        ((row,), _) = Figures(store).devices()
        assert row.drifting


def test_store_that_is_up_to_date_is_left_alone(old: str) -> None:
    for _ in range(2):
        with Store(old) as store:
            assert store.count() == 3


def test_store_of_a_newer_version_is_refused(database: str) -> None:
    Store(database).close()
    opened = Database(database)
    with opened.writing() as connection:
        connection.execute(sa.update(tables.SCHEMA_VERSION).values(version=VERSION + 1))
    opened.close()

    with pytest.raises(StoreError, match=f"version {VERSION + 1} .* install the newer one"):
        Store(database)


def test_failed_migration_leaves_the_old_store_as_it_was(old: str) -> None:
    opened = Database(old)
    with opened.writing() as connection:
        # In the way of a table that has to be made after the old ones were renamed.
        connection.exec_driver_sql("CREATE VIEW fleet_1h AS SELECT 1 AS one")
    with pytest.raises(StoreError, match="cannot open the receipt store"):
        Store(old)
    with opened.writing() as connection:
        connection.exec_driver_sql("DROP VIEW fleet_1h")
    opened.close()

    with Store(old) as store:
        assert store.count() == 3
