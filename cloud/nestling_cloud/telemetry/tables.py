"""The receipt store's tables. The receipts' columns are `ReceiptRow`'s fields."""

import sqlalchemy as sa

DROPPED = "dropped"  # by the device, whose outbox was full
REJECTED = "rejected"  # by the store: the receipt made no sense
FORGOTTEN = "forgotten"  # stored and acknowledged once, and not here: the store was wiped

METADATA = sa.MetaData()


def _outbox_key() -> tuple[sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("outbox_id", sa.String(64), primary_key=True),
    )


OUTBOXES = sa.Table(
    "outboxes",
    METADATA,
    *_outbox_key(),
    # 1 to this are settled: kept here, so that an acknowledgement needs no scan.
    sa.Column("contiguous", sa.BigInteger, nullable=False),
    sa.Column("redelivered", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
)

GAPS = sa.Table(
    "gaps",
    METADATA,
    *_outbox_key(),
    sa.Column("first_sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last_sequence", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String(16), nullable=False),
)

RECEIPTS = sa.Table(
    "receipts",
    METADATA,
    *_outbox_key(),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("input_index", sa.BigInteger, nullable=False),
    sa.Column("answered_at_ms", sa.BigInteger, nullable=False),
    sa.Column("bundle_version", sa.String(200), nullable=False),
    sa.Column("route", sa.String(32), nullable=False),
    sa.Column("reason", sa.String(32), nullable=False),
    sa.Column("answer", sa.BigInteger, nullable=False),
    sa.Column("device_answer", sa.BigInteger),
    sa.Column("resident_capacity", sa.BigInteger, nullable=False),
    sa.Column("latency_ms", sa.Double, nullable=False),
    sa.Column("latency_provenance", sa.String(16), nullable=False),
    sa.Column("wall_ms", sa.Double, nullable=False),
    sa.Column("energy_compute_mj", sa.Double, nullable=False),
    sa.Column("energy_radio_mj", sa.Double, nullable=False),
    sa.Column("energy_provenance", sa.String(16), nullable=False),
    sa.Column("bytes_up", sa.BigInteger, nullable=False),
    sa.Column("bytes_down", sa.BigInteger, nullable=False),
    sa.Column("budget_memory_bytes", sa.BigInteger, nullable=False),
    sa.Column("budget_latency_ms", sa.Double, nullable=False),
    sa.Column("budget_energy_mj", sa.Double, nullable=False),
    sa.Column("budget_link_mbit_s", sa.Double, nullable=False),
    sa.Column("budget_link_rtt_ms", sa.Double, nullable=False),
    sa.Column("budget_battery", sa.Double, nullable=False),
    sa.Column("budget_offload_share", sa.Double, nullable=False),
    sa.Column("success", sa.JSON, nullable=False),
)
