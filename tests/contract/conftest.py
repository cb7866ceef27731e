"""Fixtures for every database that the store supports."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling.v1 import receipt_pb2
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.store.store import Store, store_url
from tests.support.stored import add_batch


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return store_url(str(tmp_path / "receipts.sqlite"))
    url: str = request.getfixturevalue("postgres_server").new_database()
    return url


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """Open an empty store."""
    with Store(database) as opened:
        yield opened


@pytest.fixture
def now_ms(store: Store) -> int:
    """Return the current time by the store's clock."""
    add_batch(store, "clock", receipt_pb2.ReceiptBatch(outbox_id="outbox"))
    (row,), _ = MetricQueries(store).devices(search="clock")
    return row.last_seen_ms
