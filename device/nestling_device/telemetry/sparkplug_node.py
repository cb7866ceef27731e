"""A Sparkplug B edge node's certificates and data, as values: no connection, no clock.

Eclipse Sparkplug 3.0: NDEATH is the Will and shares its bdSeq with NBIRTH; NBIRTH starts `seq` at 0
and gives every metric a data type and an alias, but for the one that asks for a rebirth; NDATA
counts `seq` on, 0 to 255 and round again, and names metrics by alias only.
"""

from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import DecodeError

from nestling import sparkplug_metrics
from nestling.sparkplug.v1 import payload_pb2
from nestling.sparkplug_metrics import Metric, MetricValue
from nestling.v1 import receipt_pb2

# A host that asks for a rebirth knows no alias, so the metric that it asks with has none.
_ALIASES = {
    name: alias
    for alias, name in enumerate(
        (
            sparkplug_metrics.BD_SEQ,
            sparkplug_metrics.RECEIPTS,
            sparkplug_metrics.ACKNOWLEDGED,
            sparkplug_metrics.PROFILE,
            sparkplug_metrics.BUNDLE_VERSION,
            sparkplug_metrics.CAPACITY,
            sparkplug_metrics.BATTERY,
            sparkplug_metrics.OUTBOX_DEPTH,
            sparkplug_metrics.OFFLOAD_SHARE,
            sparkplug_metrics.OFFLOAD_TARGET,
            sparkplug_metrics.DESIRED_BUNDLE,
            sparkplug_metrics.DRIFTING,
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
    # Target share in force; None before the first answer, and where another wish decides.
    offload_share: float | None = None
    # Whether inputs are harder than those of the calibration; None where nobody knows.
    drifting: bool | None = None
    # What the host wrote last, reported back as confirmation.
    offload_target: float | None = None
    desired_bundle: str | None = None


class ShareTarget(NamedTuple):
    """The share of inputs that the operator targets."""

    share: float | None  # None: as the device itself is set


@dataclass(frozen=True, kw_only=True)
class Command:
    """What the host asked of the node in one NCMD; None where it said nothing of the kind."""

    rebirth: bool = False
    acknowledgement: receipt_pb2.OutboxAcknowledgement | None = None
    target: ShareTarget | None = None
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
            metrics=[
                sparkplug_metrics.metric(
                    sparkplug_metrics.BD_SEQ, self._bd_seq, timestamp_ms=now_ms
                )
            ],
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
            sparkplug_metrics.BD_SEQ: self._bd_seq,
            sparkplug_metrics.REBIRTH: False,
            sparkplug_metrics.RECEIPTS: None,
            sparkplug_metrics.ACKNOWLEDGED: None,
            **self._told,
        }
        entries = [
            sparkplug_metrics.metric(name, value, timestamp_ms=now_ms, alias=_ALIASES.get(name))
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
        if batch is None and changed <= {sparkplug_metrics.OUTBOX_DEPTH}:
            return None
        self._told = values
        self._seq = (self._seq + 1) % 256
        payload = payload_pb2.Payload(timestamp=now_ms, seq=self._seq)
        payload.metrics.extend(
            _entry(name, values[name], now_ms) for name in values if name in changed
        )
        if batch is not None:
            receipts = _entry(sparkplug_metrics.RECEIPTS, batch.SerializeToString(), now_ms)
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
    target: ShareTarget | None = None
    desired_bundle: str | None = None
    for metric in payload_pb2.Payload.FromString(data).metrics:
        name = metric.name or _NAMES.get(metric.alias, "")
        value = sparkplug_metrics.metric_value(metric)
        if name == sparkplug_metrics.REBIRTH:
            rebirth = value is True
        elif name == sparkplug_metrics.ACKNOWLEDGED:
            if not isinstance(value, bytes):
                raise DecodeError(f"{name} has to be bytes")
            acknowledgement = receipt_pb2.OutboxAcknowledgement.FromString(value)
        elif name == sparkplug_metrics.OFFLOAD_TARGET:
            target = _share_target(value)
        elif name == sparkplug_metrics.DESIRED_BUNDLE and isinstance(value, str):
            desired_bundle = value
    return Command(
        rebirth=rebirth,
        acknowledgement=acknowledgement,
        target=target,
        desired_bundle=desired_bundle,
    )


def _share_target(value: MetricValue | None) -> ShareTarget:
    if value is None:
        return ShareTarget(None)
    if not isinstance(value, float) or not 0 <= value <= 1:
        raise DecodeError(f"{sparkplug_metrics.OFFLOAD_TARGET} has to be a number from 0 to 1")
    return ShareTarget(value)


def _entry(name: str, value: MetricValue | None, now_ms: int) -> Metric:
    """A metric by its alias."""
    return sparkplug_metrics.update(value, timestamp_ms=now_ms, alias=_ALIASES[name])


def _gauge_values(gauges: Gauges, depth: int) -> dict[str, MetricValue | None]:
    return {
        sparkplug_metrics.PROFILE: gauges.profile,
        sparkplug_metrics.BUNDLE_VERSION: gauges.bundle_version,
        sparkplug_metrics.CAPACITY: gauges.capacity,
        sparkplug_metrics.BATTERY: gauges.battery,
        sparkplug_metrics.OUTBOX_DEPTH: depth,
        sparkplug_metrics.OFFLOAD_SHARE: gauges.offload_share,
        sparkplug_metrics.DRIFTING: gauges.drifting,
        sparkplug_metrics.OFFLOAD_TARGET: gauges.offload_target,
        sparkplug_metrics.DESIRED_BUNDLE: gauges.desired_bundle,
    }
