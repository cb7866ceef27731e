"""Tracks the state of the nodes (devices) of a Sparkplug B host.

Eclipse Sparkplug 3.0 says the following. A birth certificate defines a node's metrics, their
aliases (numbers that stand for their names), and the first sequence number `seq`. Every later
message increases `seq` by one, modulo 256. A host that misses a number, or that receives a node's
data before its birth certificate, asks the node for a new birth certificate. A death certificate
counts only if its `bdSeq` is that of the current birth. Commands refer to a metric by its alias if
the birth certificate defined one. This module does no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nestling import sparkplug_metrics
from nestling.sparkplug.v1 import payload_pb2

SEQ_MODULUS = 256
# A rebirth request may get lost, so it is repeated, but not with every message.
REBIRTH_INTERVAL_MS = 5000

Payload = payload_pb2.Payload


@dataclass(frozen=True, kw_only=True)
class MessageContent:
    """The content of a node's message.

    Attributes:
        values: a mapping from metric names to values, which are None for null. Metrics without a
            known name are left out. A death certificate has no metrics here.
        ask_rebirth: whether to ask the node for a new birth certificate.
        online: True if the message put the node online, False if the message put the node offline,
            and None if the message did neither.
    """

    values: dict[str, sparkplug_metrics.MetricValue | None]
    ask_rebirth: bool
    online: bool | None = None


@dataclass
class _Node:
    online: bool = False
    bd_seq: int | None = None
    next_seq: int = 0
    names: dict[int, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    asked_at_ms: int | None = None


class SparkplugHost:
    """Tracks the birth certificates, death certificates and sequence numbers of every node."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def birth(self, device: str, payload: Payload) -> MessageContent:
        """Mark a node online after its birth certificate, and return the certificate's content.

        The node's aliases are replaced, and its sequence number restarts.

        Args:
            device: the node's id.
            payload: the payload of the NBIRTH message.
        """
        names = {entry.alias: entry.name for entry in payload.metrics if entry.HasField("alias")}
        values = _values(payload, names)
        self._nodes[device] = _Node(
            online=True,
            names=names,
            aliases={name: alias for alias, name in names.items()},
            next_seq=_after(payload.seq),
            bd_seq=_bd_seq(values),
        )
        return MessageContent(values=values, ask_rebirth=False, online=True)

    def data(self, device: str, payload: Payload, *, now_ms: int) -> MessageContent:
        """Return the content of a data message, and whether to ask for a new birth certificate.

        The values are returned even if an earlier message was lost. The method tells the caller to
        ask a node at most once every five seconds.

        Args:
            device: the node's id.
            payload: the payload of the NDATA message.
            now_ms: the current Unix time.
        """
        node = self._nodes.setdefault(device, _Node())
        in_order = node.online and payload.seq == node.next_seq
        unknown_alias = any(
            not entry.name and entry.alias not in node.names for entry in payload.metrics
        )
        node.next_seq = _after(payload.seq)
        ask = self._ask(node, now_ms) if not in_order or unknown_alias else False
        return MessageContent(values=_values(payload, node.names), ask_rebirth=ask)

    def death(self, device: str, payload: Payload) -> MessageContent:
        """Mark a node offline after its death certificate, and return the certificate's content.

        A death certificate that belongs to an earlier birth is ignored.

        Args:
            device: the node's id.
            payload: the payload of the NDEATH message.
        """
        node = self._nodes.get(device)
        if node is None or _bd_seq(_values(payload, node.names)) != node.bd_seq:
            return MessageContent(values={}, ask_rebirth=False)
        node.online = False
        return MessageContent(values={}, ask_rebirth=False, online=False)

    def command(
        self,
        device: str,
        values: Mapping[str, sparkplug_metrics.MetricValue | None],
        *,
        now_ms: int,
    ) -> Payload:
        """Return the payload of a command (NCMD) that writes metrics.

        Args:
            device: the node's id.
            values: a mapping from the names of the metrics to write to their values; None for null.
            now_ms: the current Unix time.
        """
        node = self._nodes.get(device, _Node())
        entries = []
        for name, value in values.items():
            alias = node.aliases.get(name)
            by_name = name if alias is None else ""
            entries.append(
                sparkplug_metrics.update(value, timestamp_ms=now_ms, name=by_name, alias=alias)
            )
        return Payload(timestamp=now_ms, metrics=entries)

    def rebirth(self, device: str, *, now_ms: int) -> Payload:
        """Return the payload of a command (NCMD) that asks a node for a new birth certificate.

        The host records `now_ms` as the time of the latest request.

        Args:
            device: the node's id.
            now_ms: the current Unix time.
        """
        self._nodes.setdefault(device, _Node()).asked_at_ms = now_ms
        return self.command(device, {sparkplug_metrics.REBIRTH: True}, now_ms=now_ms)

    def is_online(self, device: str) -> bool:
        """Return whether a node is online."""
        node = self._nodes.get(device)
        return node is not None and node.online

    def end_all(self) -> None:
        """Mark every node offline, for example because certificates may have been missed."""
        for node in self._nodes.values():
            node.online = False

    def online(self) -> list[str]:
        """Return the ids of the nodes that are online, sorted."""
        return sorted(device for device, node in self._nodes.items() if node.online)

    @staticmethod
    def _ask(node: _Node, now_ms: int) -> bool:
        if node.asked_at_ms is not None and now_ms - node.asked_at_ms < REBIRTH_INTERVAL_MS:
            return False
        node.asked_at_ms = now_ms
        return True


def _after(seq: int) -> int:
    return (seq + 1) % SEQ_MODULUS


def _bd_seq(values: Mapping[str, sparkplug_metrics.MetricValue | None]) -> int | None:
    value = values.get(sparkplug_metrics.BD_SEQ)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _values(
    payload: Payload, names: dict[int, str]
) -> dict[str, sparkplug_metrics.MetricValue | None]:
    named = ((entry.name or names.get(entry.alias, ""), entry) for entry in payload.metrics)
    return {name: sparkplug_metrics.metric_value(entry) for name, entry in named if name}
