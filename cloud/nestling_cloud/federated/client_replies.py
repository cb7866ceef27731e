"""Reads the replies of clients, and leaves out those that report a failure or are invalid."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from flwr.app import Message
from numpy.typing import NDArray

from nestling_cloud.federated.array_records import arrays_in
from nestling_cloud.federated.round_tally import RoundTally
from nestling_cloud.federated.update_checks import Member, UpdateError, device_name
from nestling_core.student import messages

_T = TypeVar("_T")
_NO_REPLY = "no reply in time"
_NO_REASON = "no reason given"
_LONGEST = 300


def valid_replies(
    asked: Mapping[int, Member],
    replies: Iterable[Message],
    check: Callable[[Member, Message], _T],
    tally: RoundTally,
) -> list[tuple[Member, _T]]:
    """Return the valid replies in the order of the node numbers, each with its client.

    Args:
        asked: the clients that were asked, by node number.
        replies: the messages that arrived.
        check: a function that returns the content of a reply, or raises UpdateError if the reply is
            not valid.
        tally: the record of the round. It is updated with the clients whose replies are missing,
            failed, invalid or unrequested, and with the sizes of the received arrays.
    """
    valid: dict[int, tuple[Member, _T]] = {}
    waiting = dict(asked)
    for reply in replies:
        node = reply.metadata.src_node_id
        member = waiting.pop(node, None)
        if member is None:  # it was not asked, or it has already answered
            tally.drop(node, "?", "unrequested answer")
            continue
        try:
            _check_success(reply, tally)
            valid[node] = (member, check(member, reply))
        except UpdateError as err:
            tally.drop(node, _name_of(member, reply), str(err))
    for node, member in waiting.items():
        tally.drop(node, member.device, _NO_REPLY)
    return [valid[node] for node in sorted(valid)]


def config_of(reply: Message) -> Mapping[str, Any]:
    """Return the configuration record of a reply, or an empty one if the reply has none."""
    found: Mapping[str, Any] = reply.content.config_records.get(messages.CONFIG, {})
    return found


def metrics_of(reply: Message) -> Mapping[str, Any]:
    """Return the metric record of a reply, or an empty one if the reply has none."""
    found: Mapping[str, Any] = reply.content.metric_records.get(messages.METRICS, {})
    return found


def trained_arrays(reply: Message) -> dict[str, NDArray[np.float32]]:
    """Return the arrays of a reply by name.

    Raises:
        UpdateError: the reply has no arrays, or they cannot be read.
    """
    record = reply.content.array_records.get(messages.ARRAYS)
    if record is None:
        raise UpdateError("its update has no arrays")
    try:
        return arrays_in(record)
    except Exception as err:  # numpy may raise anything for bytes of a stranger
        raise UpdateError(f"its arrays cannot be read: {type(err).__name__}") from err


def _check_success(reply: Message, tally: RoundTally) -> None:
    """Raise UpdateError if the client failed, and add the size of its arrays to the tally."""
    if reply.has_error():
        raise UpdateError(f"it failed: {_last_line(reply.error.reason)}")
    tally.bytes_up += sum(record.count_bytes() for record in reply.content.array_records.values())
    failure = config_of(reply).get(messages.FAILURE)
    if failure is not None:
        raise UpdateError(f"it failed: {_one_line(failure)}")


def _name_of(member: Member, reply: Message) -> str:
    """Return the client's name if it is known, otherwise the name in the client's reply."""
    if member.device != "?" or reply.has_error():
        return member.device
    return device_name(config_of(reply))


def _last_line(reason: str | None) -> str:
    lines = (reason or "").strip().splitlines()
    return _one_line(lines[-1]) if lines else _NO_REASON


def _one_line(reason: object) -> str:
    """Return a client's text as one short line of printable characters."""
    text = " ".join(str(reason).split())
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST] or _NO_REASON
