"""Defines the tables of the store.

The columns of the table `RECEIPTS` are `id` and then the fields of `ReceiptRow`.
"""

import sqlalchemy as sa

# Reasons of a gap.
DROPPED = "dropped"  # the device's outbox was full
REJECTED = "rejected"  # the store received an invalid receipt
UNREADABLE = "unreadable"  # the row in the device's outbox is damaged
FORGOTTEN = "forgotten"  # acknowledged once, but the store was wiped or reset since
DELETED = "deleted"  # an operator deleted the receipt while an earlier one was missing

# Reasons of gaps that stand for one receipt which arrived, with its fingerprint.
RECEIVED_GAPS = frozenset({REJECTED, UNREADABLE, DELETED})

# Device id in TARGETS of the target for devices without their own.
FLEET = ""

METADATA = sa.MetaData()

# SQLite auto-increments only a column of the type INTEGER.
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


SCHEMA_VERSION = sa.Table(
    "schema_version",
    METADATA,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
)

OUTBOXES = sa.Table(
    "outboxes",
    METADATA,
    *_outbox_key(),
    # Sequences 1 to this are settled; kept here so that an acknowledgement needs no scan.
    _number("contiguous"),
    # Largest sequence stored or in a gap; if equal to `contiguous`, nothing lies beyond it.
    _number("highest"),
    _number("redelivered"),
    _number("rejected"),
    # Chain over the receipts up to `contiguous`, sent with the acknowledgement.
    _number("chain"),
    _text("previous_id", 64),
    _text("branch", 64),
    _number("seen_ms"),
)
_IN_BRANCH = OUTBOXES.c.branch != ""
# A partial index: only the few devices whose state folder was copied have branches.
OUTBOX_BRANCHES = sa.Index(
    "outbox_branches", OUTBOXES.c.device, sqlite_where=_IN_BRANCH, postgresql_where=_IN_BRANCH
)

GAPS = sa.Table(
    "gaps",
    METADATA,
    *_outbox_key(),
    sa.Column("first_sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    _number("last_sequence"),
    _text("reason", 16),
    # Chain of the outbox up to `last_sequence`; for RECEIVED_GAPS, the receipt's fingerprint.
    _number("chain"),
)

# As floats: a device may report a gap of 2^63, and the sum of two overflows an SQL integer.
GAP_LENGTH = sa.cast(GAPS.c.last_sequence - GAPS.c.first_sequence, sa.Double) + 1

RECEIPTS = sa.Table(
    "receipts",
    METADATA,
    # In order of arrival: retention deletes the lowest first.
    sa.Column("id", _COUNTER, primary_key=True),
    *_outbox_key(primary_key=False),
    _number("sequence"),
    _number("input_index"),
    _number("answered_at_ms"),
    _text("bundle_version", 200),
    _text("route", 32),
    _text("reason", 32),
    _number("answer"),
    sa.Column("device_answer", sa.BigInteger),
    _real("device_confidence"),
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
    _number("fingerprint"),
    _text("follow_up", 16),
    sa.Column("follows", sa.BigInteger),
    sa.Column("values", sa.JSON, nullable=False),
    sa.Column("device_values", sa.JSON, nullable=False),
    sa.Column("agreement", sa.Double),
    sa.UniqueConstraint("device", "outbox_id", "sequence", name="receipts_once"),
    sa.Index("receipts_of_a_device", "device", "answered_at_ms"),
)


def _rollup(name: str, *keys: "sa.Column[str]") -> sa.Table:
    """Return a table of sums over the receipts of each kind in each step of time.

    The primary key starts with the start of the step.
    """
    return sa.Table(
        name,
        METADATA,
        sa.Column("start_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        *keys,
        sa.Column("route", sa.String(32), primary_key=True),
        sa.Column("fallback", sa.Boolean, primary_key=True),
        *(
            sa.Column(f"{figure}_provenance", sa.String(16), primary_key=True)
            for figure in ("latency", "compute", "radio", "offload")
        ),
        _number("answers"),
        _number("estimated_answers"),
        _real("expected_right"),
        _real("energy_compute_mj"),
        _real("energy_radio_mj"),
        _number("bytes_up"),
        _number("bytes_down"),
        _real("offload_energy_mj"),
        _number("offload_bytes"),
        sa.Column("latencies", sa.LargeBinary, nullable=False),  # of histogram.encode
        *(
            _number(name)
            for name in ("audited", "agreeing", "deferred", "revised", "changed", "expired")
        ),
        sqlite_with_rowid=False,
    )


def _device_rollup(name: str) -> sa.Table:
    return _rollup(name, sa.Column("device", sa.String(64), primary_key=True))


# By step length in milliseconds.
FLEET_ROLLUPS = {
    10_000: _rollup("fleet_10s"),
    60_000: _rollup("fleet_1min"),
    3_600_000: _rollup("fleet_1h"),
}
DEVICE_ROLLUPS = {
    60_000: _device_rollup("device_1min"),
    3_600_000: _device_rollup("device_1h"),
}

# The latest report of each device. A column that a device never reported is NULL.
DEVICES = sa.Table(
    "devices",
    METADATA,
    sa.Column("device", sa.String(64), primary_key=True),
    sa.Column("online", sa.Boolean),
    _number("last_seen_ms"),
    _number("answers"),
    _number("last_answered_ms"),
    sa.Column("profile", sa.String(200)),
    sa.Column("bundle_version", sa.String(200)),
    sa.Column("capacity", sa.BigInteger),
    sa.Column("battery", sa.Double),
    sa.Column("outbox_depth", sa.BigInteger),
    sa.Column("offload_share", sa.Double),
    sa.Column("drifting", sa.Boolean),
    sa.Column("pending", sa.BigInteger),
    sa.Column("tolerated_risk", sa.Double),
    sa.Column("guaranteed_since_ms", sa.BigInteger),
    sa.Column("inputs_to_go", sa.BigInteger),
    sa.Column("guarantee_alarms", sa.BigInteger),
)

TARGETS = sa.Table(
    "targets",
    METADATA,
    sa.Column("device", sa.String(64), primary_key=True),
    sa.Column("offload_share", sa.Double, nullable=False),
)

# Every change of a target, kept forever: who set what, and when.
TARGET_LOG = sa.Table(
    "target_log",
    METADATA,
    sa.Column("id", _COUNTER, primary_key=True),
    _text("device", 64),
    sa.Column("offload_share", sa.Double),
    _text("set_by", 200),
    _number("set_at_ms"),
)

HARD_INPUTS = sa.Table(
    "hard_inputs",
    METADATA,
    sa.Column("id", _COUNTER, primary_key=True),
    _text("device", 64),
    _text("task", 64),
    _number("received_at_ms"),
    _number("input_index"),
    # Drawn at random for an audit, rather than sent because it was hard.
    sa.Column("audited", sa.Boolean, nullable=False),
    sa.Column("input_values", sa.LargeBinary, nullable=False),
    sa.Column("shape", sa.JSON, nullable=False),
    # As in RECEIPTS, without a device's answer if no student ran.
    sa.Column("device_answer", sa.BigInteger),
    sa.Column("device_values", sa.JSON, nullable=False),
    _number("cloud_answer"),
    sa.Column("cloud_values", sa.JSON, nullable=False),
    sa.Column("agrees", sa.Boolean),
    # JSON as text; all three are NULL without a label. The database does not look into a label.
    sa.Column("label", sa.Text),
    sa.Column("labeled_by", sa.String(200)),
    sa.Column("labeled_at_ms", sa.BigInteger),
    sa.Index("hard_inputs_of_a_device", "device", "id"),
    # An id names one input forever: a label must not reach another one.
    sqlite_autoincrement=True,
)
