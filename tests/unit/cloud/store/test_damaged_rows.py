import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling.v1 import receipt_pb2
from nestling_cloud.metrics.fleet_health import fleet_condition
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.store.damaged_rows import DamagedRows
from nestling_cloud.store.hard_inputs import HardInput, HardInputs
from nestling_cloud.store.store import Store, store_url
from nestling_cloud.store.time_range import TimeRange
from nestling_core.kinds.kind import Answer
from tests.support.receipts import make_receipt
from tests.support.stored import add_batch

AT_MS = time.time_ns() // 1_000_000 - 60_000
EVER = TimeRange(since_ms=AT_MS - 60_000, until_ms=AT_MS + 60_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with three receipts and three hard inputs of one device."""
    with Store(store_url(str(tmp_path / "store.sqlite"))) as opened:
        receipts = [make_receipt(number, answered_at_ms=AT_MS + number) for number in (1, 2, 3)]
        add_batch(opened, "porch", receipt_pb2.ReceiptBatch(outbox_id="a", receipts=receipts))
        HardInputs(opened).add_all([hard_input(number) for number in (1, 2, 3)])
        yield opened


def hard_input(index: int) -> HardInput:
    return HardInput(
        task="hand",
        device="porch",
        received_at_ms=AT_MS,
        input_index=index,
        values=bytes(8),
        shape=(1, 2),
        device_answer=Answer(0),
        cloud_answer=Answer(1),
    )


def damage_database(path: Path, change: str) -> None:
    with sqlite3.connect(path / "store.sqlite") as database:
        database.execute(change)
    database.close()


@pytest.mark.parametrize("damage", ["[0.5, 0.", "7", "[[]]", "[NaN]", "null", '["x"]'])
def test_damaged_receipt_is_skipped_counted_and_logged_once(
    store: Store, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage_database(tmp_path, f"UPDATE receipts SET success = '{damage}' WHERE sequence = 2")  # noqa: S608
    figures = MetricQueries(store)

    for _ in range(2):
        assert [row.sequence for row in store.receipts()] == [1, 3]
        assert [row.sequence for row in figures.receipts(EVER)] == [1, 3]
        view = figures.device("porch", EVER)
        assert view is not None
        assert view.totals.answers == 3
    assert fleet_condition(store).damaged == 1
    assert len(caplog.records) == 1
    assert "row 2 of receipts is damaged and skipped (1 so far)" in caplog.text


@pytest.mark.parametrize(
    ("column", "damage"),
    [
        *(("shape", text) for text in ("[1, 2", "7", "[1.5, 2]", "[-1, -2]", '["1", 2]')),
        *(("device_values", text) for text in ("[1, 2", "7", "null", "[NaN]", "[true]")),
        ("cloud_values", '["1"]'),
    ],
)
def test_damaged_hard_input_is_skipped_counted_and_logged_once(
    store: Store, tmp_path: Path, column: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage_database(tmp_path, f"UPDATE hard_inputs SET {column} = '{damage}' WHERE input_index = 2")  # noqa: S608

    for _ in range(2):
        assert [found.input_index for found in HardInputs(store).latest("porch")] == [3, 1]
    assert fleet_condition(store).damaged == 1
    assert len(caplog.records) == 1
    assert "row 2 of hard_inputs is damaged" in caplog.text


def test_many_damaged_rows_make_few_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    damage = DamagedRows()
    for number in range(150):
        damage.add("receipts", number, "cut")

    assert damage.rows == 150
    assert re.findall(r"(\d+) so far", caplog.text) == ["1", "10", "100"]
