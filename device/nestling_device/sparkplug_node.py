"""A Sparkplug B edge node's certificates and data, as values: no connection, no clock.

Eclipse Sparkplug 3.0: NDEATH is the Will and shares its bdSeq with NBIRTH; NBIRTH starts `seq` at 0
and gives every metric a data type and an alias, but for the one that asks for a rebirth; NDATA
counts `seq` on, 0 to 255 and round again, and names metrics by alias only.
"""

from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import DecodeError

from nestling import metrics
from nestling.metrics import Metric, MetricValue
from nestling.sparkplug.v1 import payload_pb2
from nestling.v1 import receipt_pb2

# A host that asks for a rebirth knows no alias, so the metric that it asks with has none.
_ALIASES = {
    name: alias
    for alias, name in enumerate(
        (
            metrics.BD_SEQ,
            metrics.RECEIPTS,
            metrics.ACKNOWLEDGED,
            metrics.PROFILE,
            metrics.BUNDLE_VERSION,
            metrics.CAPACITY,
            metrics.BATTERY,
            metrics.OUTBOX_DEPTH,
            metrics.OFFLOAD_SHARE,
            metrics.OFFLOAD_TARGET,
            metrics.DESIRED_BUNDLE,
            metrics.DRIFTING,
        ),
        start=1,
    )
}
_NAMES = {alias: name for name, alias in _ALIASES.items()}


@dataclass(frozen=True, kw_only=True)
class Gauges:
    """What a device says about itself."""

    profile: str = ""
    bundle_version: str = ""
    capacity: int = 0  # largest one resident, 0 if none
    battery: float = 1.0  # charge left, 0 to 1
    # Wished share in force; None before the first answer, and where another wish decides.
    offload_share: float | None = None
    # Whether inputs are harder than those of the calibration; None where nobody knows.
    drifting: bool | None = None
    # What the host wrote last, reported back as confirmation.
    offload_target: float | None = None
    desired_bundle: str | None = None


class ShareWish(NamedTuple):
    """The share of inputs that the operator wishes to be offloaded."""

    share: float | None  # None: as the device itself is set


@dataclass(frozen=True, kw_only=True)
class Command:
    """What the host asked of the node in one NCMD; None where it said nothing of the kind."""

    rebirth: bool = False
    acknowledgement: receipt_pb2.OutboxAcknowledgement | None = None
    wish: ShareWish | None = None
    desired_bundle: str | None = None


class SparkplugNode:
    """One birth's worth of messages: counts `seq` and remembers which gauges the host knows."""

    def __init__(self, bd_seq: int) -> None:
        """Begin a connection.

        Args:
            bd_seq: number of this connection, 0 to 255; the Will has to carry the same.
        """
        self._bd_seq = bd_seq
        self._seq = 0
        self._told: dict[str, MetricValue | None] = {}

    def death(self, *, now_ms: int) -> payload_pb2.Payload:
        """NDEATH: the Will, and the goodbye of an orderly end."""
        return payload_pb2.Payload(
            timestamp=now_ms,
            metrics=[metrics.metric(metrics.BD_SEQ, self._bd_seq, timestamp_ms=now_ms)],
        )

    def birth(self, gauges: Gauges, depth: int, *, now_ms: int) -> payload_pb2.Payload:
        """NBIRTH: every metric with its name, alias and present value; `seq` starts again.

        Args:
            gauges: what the device says about itself.
            depth: receipts in the outbox.
            now_ms: Unix time.
        """
        self._seq = 0
        self._told = _gauge_values(gauges, depth)
        values: dict[str, MetricValue | None] = {
            metrics.BD_SEQ: self._bd_seq,
            metrics.REBIRTH: False,
            metrics.RECEIPTS: None,
            metrics.ACKNOWLEDGED: None,
            **self._told,
        }
        entries = [
            metrics.metric(name, value, timestamp_ms=now_ms, alias=_ALIASES.get(name))
            for name, value in values.items()
        ]
        return payload_pb2.Payload(timestamp=now_ms, seq=0, metrics=entries)

    def data(
        self,
        gauges: Gauges,
        depth: int,
        batch: receipt_pb2.ReceiptBatch | None,
        *,
        historical: bool = False,
        now_ms: int,
    ) -> payload_pb2.Payload | None:
        """NDATA: the gauges that changed since the host last heard, and a batch of receipts.

        Args:
            gauges: what the device says about itself.
            depth: receipts in the outbox; told along with something else, never by itself.
            batch: receipts to send, if any.
            historical: whether the batch, or part of it, was sent or stored before.
            now_ms: Unix time.

        Returns:
            None if there is nothing to tell.
        """
        values = _gauge_values(gauges, depth)
        changed = {name for name in values if values[name] != self._told.get(name)}
        if batch is None and changed <= {metrics.OUTBOX_DEPTH}:
            return None
        self._told = values
        self._seq = (self._seq + 1) % 256
        payload = payload_pb2.Payload(timestamp=now_ms, seq=self._seq)
        payload.metrics.extend(
            _entry(name, values[name], now_ms) for name in values if name in changed
        )
        if batch is not None:
            receipts = _entry(metrics.RECEIPTS, batch.SerializeToString(), now_ms)
            if historical:
                receipts.is_historical = True
            payload.metrics.append(receipts)
        return payload


def read_command(data: bytes) -> Command:
    """Read an NCMD; metrics may come by name or by alias, unknown ones are passed over.

    Raises:
        DecodeError: the payload is not Sparkplug's, or a value of ours makes no sense.
    """
    rebirth = False
    acknowledgement: receipt_pb2.OutboxAcknowledgement | None = None
    wish: ShareWish | None = None
    desired_bundle: str | None = None
    for metric in payload_pb2.Payload.FromString(data).metrics:
        name = metric.name or _NAMES.get(metric.alias, "")
        value = metrics.metric_value(metric)
        if name == metrics.REBIRTH:
            rebirth = value is True
        elif name == metrics.ACKNOWLEDGED:
            if not isinstance(value, bytes):
                raise DecodeError(f"{name} has to be bytes")
            acknowledgement = receipt_pb2.OutboxAcknowledgement.FromString(value)
        elif name == metrics.OFFLOAD_TARGET:
            wish = _share_wish(value)
        elif name == metrics.DESIRED_BUNDLE and isinstance(value, str):
            desired_bundle = value
    return Command(
        rebirth=rebirth, acknowledgement=acknowledgement, wish=wish, desired_bundle=desired_bundle
    )


def _share_wish(value: MetricValue | None) -> ShareWish:
    if value is None:
        return ShareWish(None)
    if not isinstance(value, float) or not 0 <= value <= 1:
        raise DecodeError(f"{metrics.OFFLOAD_TARGET} has to be a number from 0 to 1")
    return ShareWish(value)


def _entry(name: str, value: MetricValue | None, now_ms: int) -> Metric:
    """A metric by its alias."""
    return metrics.update(value, timestamp_ms=now_ms, alias=_ALIASES[name])


def _gauge_values(gauges: Gauges, depth: int) -> dict[str, MetricValue | None]:
    return {
        metrics.PROFILE: gauges.profile,
        metrics.BUNDLE_VERSION: gauges.bundle_version,
        metrics.CAPACITY: gauges.capacity,
        metrics.BATTERY: gauges.battery,
        metrics.OUTBOX_DEPTH: depth,
        metrics.OFFLOAD_SHARE: gauges.offload_share,
        metrics.DRIFTING: gauges.drifting,
        metrics.OFFLOAD_TARGET: gauges.offload_target,
        metrics.DESIRED_BUNDLE: gauges.desired_bundle,
    }
