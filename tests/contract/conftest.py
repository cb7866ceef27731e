"""The databases that the store has to work with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import postgres
from tests.postgres import Postgres

from nestling_cloud.telemetry.store import Store, store_url


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    programs = postgres.programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed: apt install postgresql")
    with postgres.running(programs) as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return store_url(str(tmp_path / "receipts.sqlite"))
    server: Postgres = request.getfixturevalue("server")
    return server.new_database()


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """An empty store."""
    with Store(database) as opened:
        yield opened
