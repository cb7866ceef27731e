"""What a Sparkplug B host knows of its edge nodes, and when it has to ask for a rebirth. No I/O.

Eclipse Sparkplug 3.0: a birth certificate names a node's metrics and aliases and starts `seq` at
its number; every later message counts one up, modulo 256. A host that misses a number, or that
hears of a node without its birth, asks for a rebirth. A death certificate counts if it has the
`bdSeq` of the birth that it ends. Commands name metrics as the birth certificate wants it, by alias
where it gave one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nestling import sparkplug_metrics
from nestling.sparkplug.v1 import payload_pb2

SEQ_MODULUS = 256
# A request may get lost as well: ask again, but not with every message.
REBIRTH_INTERVAL_MS = 5000

Payload = payload_pb2.Payload


@dataclass(frozen=True, kw_only=True)
class MessageContent:
    """What a message says.

    Attributes:
        values: the metrics with a name, by name; None for one that is null.
        ask_rebirth: whether the node has to be asked for a new birth certificate.
        online: whether it was born (True) or died (False) by this message; otherwise None.
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
    """Follows every node's certificates and sequence numbers."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def birth(self, device: str, payload: Payload) -> MessageContent:
        """Take a birth certificate: the node is online, its aliases and `seq` start again."""
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
        """Take a data message; what it says is of use even where one before it got lost."""
        node = self._nodes.setdefault(device, _Node())
        in_order = node.online and payload.seq == node.next_seq
        unknown_alias = any(
            not entry.name and entry.alias not in node.names for entry in payload.metrics
        )
        node.next_seq = _after(payload.seq)
        ask = self._ask(node, now_ms) if not in_order or unknown_alias else False
        return MessageContent(values=_values(payload, node.names), ask_rebirth=ask)

    def death(self, device: str, payload: Payload) -> MessageContent:
        """Take a death certificate, unless it belongs to a birth that is no longer the last."""
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
        """Make an NCMD.

        Args:
            device: a node that was born, or one whose metrics have names.
            values: to write, None for null.
            now_ms: Unix time.
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
        """Make an NCMD that asks a node for its birth certificate."""
        self._nodes.setdefault(device, _Node()).asked_at_ms = now_ms
        return self.command(device, {sparkplug_metrics.REBIRTH: True}, now_ms=now_ms)

    def is_online(self, device: str) -> bool:
        """Whether a node is born and not dead, so that its aliases are known."""
        node = self._nodes.get(device)
        return node is not None and node.online

    def end_all(self) -> None:
        """Take every node for dead, because its certificates may have gone unheard."""
        for node in self._nodes.values():
            node.online = False

    def online(self) -> list[str]:
        """Nodes that are born and not dead, by name."""
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
