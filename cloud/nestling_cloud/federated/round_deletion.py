"""Removes devices from the results of federated rounds, and deletes whole rounds."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from nestling_cloud.federated.round_log import ROUNDS
from nestling_core.parsing.untrusted_data import parse_json

_LISTS = ("participants", "dropped")


def delete_rounds(
    connection: sa.Connection, device: str | None, span: tuple[int, int] | None
) -> int:
    """Remove a device from the table of rounds, or delete whole rounds.

    A round from which a device is removed stays in the table, even if no other device took part.
    Its accuracies stay too, although the device's update may have contributed to them.

    Args:
        connection: a connection within a writing transaction.
        device: the name that the client gave itself; None to delete whole rounds.
        span: the start and end, in Unix ms, of the span of time in which the rounds ended. The end
            is exclusive. None for all times.

    Returns:
        The number of rounds that were changed or deleted.
    """
    found = _chosen(connection, device, span)
    for row, changed in found:
        place = (ROUNDS.c.run == row.run, ROUNDS.c.number == row.number)
        if device is None:
            connection.execute(sa.delete(ROUNDS).where(*place))
        else:
            connection.execute(sa.update(ROUNDS).where(*place).values(changed))
    return len(found)


def count_rounds(
    connection: sa.Connection, device: str | None, span: tuple[int, int] | None
) -> int:
    """Return the number of rounds that `delete_rounds` would change or delete."""
    return len(_chosen(connection, device, span))


def _chosen(
    connection: sa.Connection, device: str | None, span: tuple[int, int] | None
) -> list[tuple["sa.Row[Any]", dict[str, Any]]]:
    if not sa.inspect(connection).has_table(ROUNDS.name):  # no round was ever run
        return []
    # As text, so that a damaged row does not fail the query.
    lists = [sa.cast(ROUNDS.c[name], sa.Text).label(name) for name in _LISTS]
    query = sa.select(ROUNDS.c.run, ROUNDS.c.number, *lists)
    if span is not None:
        query = query.where(ROUNDS.c.ended_ms >= span[0], ROUNDS.c.ended_ms < span[1])
    return list(_changes(connection.execute(query).all(), device))


def _changes(
    rows: Sequence[Any], device: str | None
) -> Iterator[tuple["sa.Row[Any]", dict[str, Any]]]:
    for row in rows:
        if device is None:
            yield row, {}
            continue
        changed = {}
        for name in _LISTS:
            text = getattr(row, name)
            kept = _without(text, device)
            if kept is not None:
                changed[name] = kept
        if changed:
            yield row, changed


def _without(text: str, device: str) -> list[Any] | None:
    """Return a list in a row without the entries of a device, or None if it has none of them.

    A damaged list that names the device becomes empty.
    """
    try:
        entries = parse_json(text)
    except ValueError:
        entries = None
    if not isinstance(entries, list):
        return [] if device in text else None
    kept = [one for one in entries if not (isinstance(one, dict) and one.get("device") == device)]
    return kept if len(kept) < len(entries) else None
