"""The telemetry store's tables. The receipts' columns are `ReceiptRow`'s fields, after `id`."""

import sqlalchemy as sa

DROPPED = "dropped"  # by the device, whose outbox was full
REJECTED = "rejected"  # by the store: the receipt made no sense
FORGOTTEN = "forgotten"  # stored and acknowledged once, and not here: the store was wiped

# In WISHES: what holds for every device without a wish of its own.
FLEET = ""

METADATA = sa.MetaData()

# SQLite counts on by itself only in a column that is called INTEGER.
_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _outbox_key(*, primary_key: bool = True) -> tuple[sa.Column[str], sa.Column[str]]:
    return (
        sa.Column("device", sa.String(64), primary_key=primary_key, nullable=False),
        sa.Column("outbox_id", sa.String(64), primary_key=primary_key, nullable=False),
    )


def _number(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=False)


def _real(name: str) -> "sa.Column[float]":
    return sa.Column(name, sa.Double, nullable=False)


def _text(name: str, length: int) -> "sa.Column[str]":
    return sa.Column(name, sa.String(length), nullable=False)


OUTBOXES = sa.Table(
    "outboxes",
    METADATA,
    *_outbox_key(),
    # 1 to this are settled: kept here, so that an acknowledgement needs no scan.
    _number("contiguous"),
    _number("redelivered"),
    _number("rejected"),
)

GAPS = sa.Table(
    "gaps",
    METADATA,
    *_outbox_key(),
    sa.Column("first_sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    _number("last_sequence"),
    _text("reason", 16),
)

RECEIPTS = sa.Table(
    "receipts",
    METADATA,
    *_outbox_key(),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    _number("input_index"),
    _number("answered_at_ms"),
    _text("bundle_version", 200),
    _text("route", 32),
    _text("reason", 32),
    _number("answer"),
    sa.Column("device_answer", sa.BigInteger),
    _number("resident_capacity"),
    _real("latency_ms"),
    _text("latency_provenance", 16),
    _real("wall_ms"),
    _real("energy_compute_mj"),
    _text("energy_compute_provenance", 16),
    _real("energy_radio_mj"),
    _text("energy_radio_provenance", 16),
    _text("energy_provenance", 16),
    _number("bytes_up"),
    _number("bytes_down"),
    _number("budget_memory_bytes"),
    _real("budget_latency_ms"),
    _real("budget_energy_mj"),
    _real("budget_link_mbit_s"),
    _real("budget_link_rtt_ms"),
    _real("budget_battery"),
    _real("budget_offload_share"),
    sa.Column("success", sa.JSON, nullable=False),
    _real("offload_energy_mj"),
    _text("offload_energy_provenance", 16),
    _number("offload_bytes"),
)

# What devices said last. A column that a device never spoke of is NULL.
DEVICES = sa.Table(
    "devices",
    METADATA,
    sa.Column("device", sa.String(64), primary_key=True),
    sa.Column("online", sa.Boolean, nullable=False),
    _number("last_seen_ms"),
    _number("answers"),
    _number("last_answered_ms"),
    sa.Column("profile", sa.String(200)),
    sa.Column("bundle_version", sa.String(200)),
    sa.Column("capacity", sa.BigInteger),
    sa.Column("battery", sa.Double),
    sa.Column("outbox_depth", sa.BigInteger),
    sa.Column("offload_share", sa.Double),
)

WISHES = sa.Table(
    "wishes",
    METADATA,
    sa.Column("device", sa.String(64), primary_key=True),
    sa.Column("offload_share", sa.Double, nullable=False),
)

# Every change of a wish, for good: who wished what, and when.
WISH_LOG = sa.Table(
    "wish_log",
    METADATA,
    sa.Column("id", _COUNTER, primary_key=True),
    _text("device", 64),
    sa.Column("offload_share", sa.Double),
    _text("wished_by", 200),
    _number("wished_at_ms"),
)

HARD_INPUTS = sa.Table(
    "hard_inputs",
    METADATA,
    sa.Column("id", _COUNTER, primary_key=True),
    _text("device", 64),
    _number("received_at_ms"),
    _number("input_index"),
    sa.Column("input_values", sa.LargeBinary, nullable=False),
    sa.Column("shape", sa.JSON, nullable=False),
    sa.Column("device_answer", sa.BigInteger),
    _number("cloud_answer"),
    sa.Index("hard_inputs_of_a_device", "device", "id"),
)
