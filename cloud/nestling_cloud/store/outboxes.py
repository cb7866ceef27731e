"""Loads and saves the ledgers of outboxes, which record what arrived from each outbox."""

import hashlib
import logging
from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa

from nestling_cloud.store import tables
from nestling_cloud.store.database import replace_all, upsert, write_all
from nestling_cloud.store.deduplication import Ledger
from nestling_cloud.store.receipt_row import LARGEST_INTEGER
from nestling_cloud.store.watermark import Gap

_KEYS_A_QUERY = 5000
_FORGOTTEN = ""  # in the column of the device
_NUMBERS = [column.name for column in tables.OUTBOXES.c if column.type.python_type is int]

_LOG = logging.getLogger(__name__)

Key = tuple[str, str]  # device and outbox


def load(connection: sa.Connection, keys: Collection[Key]) -> dict[Key, Ledger]:
    """Return the ledgers of outboxes, by device and outbox.

    An outbox that the store does not know gets an empty ledger. An outbox that `forget` has hidden
    behind a hash gets its ids back.

    Args:
        connection: a connection within a writing transaction.
        keys: the outboxes, each as a pair of the device's id and the outbox's id.
    """
    ledgers = {key: Ledger(device=key[0], outbox_id=key[1]) for key in sorted(keys)}
    wanted = list(ledgers)
    for first in range(0, len(wanted), _KEYS_A_QUERY):
        some = wanted[first : first + _KEYS_A_QUERY]
        found = _load(connection, some)
        unknown = [key for key in some if key not in found]
        if unknown and _recall(connection, unknown):
            found |= _load(connection, unknown)
        ledgers |= found
    return ledgers


def _load(connection: sa.Connection, keys: Sequence[Key]) -> dict[Key, Ledger]:
    """Return the stored ledgers of outboxes."""
    columns, ledgers = tables.OUTBOXES.c, dict[Key, Ledger]()
    query = sa.select(tables.OUTBOXES).where(sa.tuple_(columns.device, columns.outbox_id).in_(keys))
    for row in connection.execute(query).mappings():
        ledger = _ledger(row)
        ledgers[ledger.device, ledger.outbox_id] = ledger
        if ledger.highest > ledger.contiguous:
            _load_beyond(connection, ledger)
    return ledgers


def forget(connection: sa.Connection, device: str) -> None:
    """Replace the ids in the ledgers of a device with hashes that nobody can reverse.

    In each ledger, a hash over the device's id and the outbox's random id replaces both ids. If the
    outbox delivers again, `load` finds the ledger by this hash, so repeated receipts are still
    recognized. Apart from the hash, a ledger keeps only which receipts are settled.

    Args:
        connection: a connection within a writing transaction.
        device: the device's id.
    """
    columns, gaps = tables.OUTBOXES.c, tables.GAPS.c
    query = sa.select(columns.outbox_id, columns.contiguous).where(columns.device == device)
    for outbox_id, contiguous in connection.execute(query).all():
        settled = (gaps.device == device, gaps.outbox_id == outbox_id)
        connection.execute(sa.delete(tables.GAPS).where(*settled, gaps.last_sequence <= contiguous))
        _rename(connection, (device, outbox_id), _forgotten_key((device, outbox_id)))


def _recall(connection: sa.Connection, keys: Sequence[Key]) -> bool:
    """Give forgotten outboxes that deliver again their names back, and return whether any did."""
    columns = tables.OUTBOXES.c
    forgotten = {_forgotten_key(key)[1]: key for key in keys}
    query = sa.select(columns.outbox_id).where(
        columns.device == _FORGOTTEN, columns.outbox_id.in_(list(forgotten))
    )
    found = connection.execute(query).scalars().all()
    for digest in found:
        _rename(connection, (_FORGOTTEN, digest), forgotten[digest])
    return bool(found)


def _rename(connection: sa.Connection, old: Key, new: Key) -> None:
    """Move a ledger and its gaps, without what only describes the device."""
    names = {"device": new[0], "outbox_id": new[1]}
    blank = {"redelivered": 0, "rejected": 0, "previous_id": "", "branch": "", "seen_ms": 0}
    for table, values in ((tables.OUTBOXES, {**names, **blank}), (tables.GAPS, names)):
        place = (table.c.device == old[0], table.c.outbox_id == old[1])
        connection.execute(sa.update(table).where(*place).values(values))


def _forgotten_key(key: Key) -> Key:
    return _FORGOTTEN, hashlib.sha256("\0".join(key).encode()).hexdigest()


def _ledger(row: sa.RowMapping) -> Ledger:
    """Return the ledger in a row.

    If the row is damaged, the ledger is rebuilt from the stored receipts and gaps. Receipts that
    neither the store nor the device holds any longer then count as forgotten.
    """
    if all(isinstance(row[name], int) for name in _NUMBERS):
        return Ledger(**row, is_new=False)
    device, outbox_id = row["device"], row["outbox_id"]
    _LOG.warning(
        "the row of %s's outbox %s is damaged; it is rebuilt from the stored receipts",
        device,
        outbox_id,
    )
    return Ledger(device=device, outbox_id=outbox_id, highest=LARGEST_INTEGER, is_new=False)


def save(connection: sa.Connection, ledgers: Iterable[Ledger]) -> None:
    """Save ledgers, replacing the stored ledgers of the same outboxes.

    Args:
        connection: a connection within a writing transaction.
        ledgers: the ledgers to save.
    """
    names = tables.OUTBOXES.c.keys()
    rows = [{name: getattr(ledger, name) for name in names} for ledger in ledgers]
    replace_all(connection, tables.OUTBOXES, rows)


def add_gaps(connection: sa.Connection, gaps: Iterable[tuple[Key, Gap, str]]) -> None:
    """Save gaps, which are ranges of sequences whose receipts will never be stored.

    A longer gap replaces a shorter gap of the same outbox with the same first sequence.

    Args:
        connection: a connection within a writing transaction.
        gaps: for each gap, the outbox as a pair of ids (device, outbox), the gap and its reason.
    """
    rows = [
        {
            "device": device,
            "outbox_id": outbox_id,
            "first_sequence": gap.first,
            "last_sequence": gap.last,
            "reason": reason,
            "chain": gap.chain,
        }
        for (device, outbox_id), gap, reason in gaps
    ]
    insert = upsert(connection, tables.GAPS)
    new = insert.excluded
    statement = insert.on_conflict_do_update(
        index_elements=["device", "outbox_id", "first_sequence"],
        set_={
            "last_sequence": new.last_sequence,
            "reason": new.reason,
            "chain": new.chain,
        },
        where=tables.GAPS.c.last_sequence < new.last_sequence,
    )
    write_all(connection, statement, rows)


def _load_beyond(connection: sa.Connection, ledger: Ledger) -> None:
    receipts, gaps = tables.RECEIPTS.c, tables.GAPS.c
    stored = sa.select(receipts.sequence, receipts.fingerprint).where(
        receipts.device == ledger.device,
        receipts.outbox_id == ledger.outbox_id,
        receipts.sequence > ledger.contiguous,
    )
    holes = sa.select(gaps.first_sequence, gaps.last_sequence, gaps.chain, gaps.reason).where(
        gaps.device == ledger.device,
        gaps.outbox_id == ledger.outbox_id,
        gaps.last_sequence > ledger.contiguous,
    )
    ledger.beyond.update((sequence, mark) for sequence, mark in connection.execute(stored))
    for first, last, chain, reason in connection.execute(holes):
        if reason in tables.RECEIVED_GAPS:
            ledger.beyond[first] = chain
        else:
            ledger.gaps.append(Gap(first, last, chain))
