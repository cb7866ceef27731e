"""Builds the messages of a Sparkplug B edge node (a device), and reads the host's commands.

The host is the cloud. Nothing here does I/O or reads the clock. The messages follow the rules of
Eclipse Sparkplug 3.0:

- NDEATH is the Will (the message that the broker publishes when the connection breaks). NDEATH and
  NBIRTH contain bdSeq, the number of the connection.
- NBIRTH sets `seq` to 0. It gives every metric a data type and, except for the rebirth metric, an
  alias.
- NDATA increments `seq`, which wraps after 255, and names metrics by alias only.
"""

from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import DecodeError

from nestling import sparkplug_metrics
from nestling.sparkplug.v1 import payload_pb2
from nestling.sparkplug_metrics import Metric, MetricValue
from nestling.v1 import receipt_pb2

# A host that requests a rebirth does not know the aliases, so the rebirth metric has none.
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
            sparkplug_metrics.PENDING,
            sparkplug_metrics.TOLERATED_RISK,
            sparkplug_metrics.GUARANTEED_SINCE,
            sparkplug_metrics.INPUTS_TO_GO,
            sparkplug_metrics.GUARANTEE_ALARMS,
        ),
        start=1,
    )
}
_NAMES = {alias: name for name, alias in _ALIASES.items()}


@dataclass(frozen=True, kw_only=True)
class Gauges:
    """The status that a device reports.

    Attributes:
        profile: the name of the board.
        bundle_version: the version of the active bundle.
        capacity: the largest loaded capacity, or 0 if none is loaded.
        battery: the remaining charge, 0 to 1.
        offload_share: the target offload share in force. It is None before the first answer, and
            while a target of another kind replaces it.
        drifting: whether inputs are harder than those of the calibration, or None if this is
            unknown.
        offload_target: the target share that the host wrote last, reported back as confirmation,
            or None if there is none.
        desired_bundle: the bundle version that the host wrote last, reported back as confirmation,
            or None if there is none.
        pending: the number of answered inputs that the cloud is still to be asked about.
        tolerated_risk: the tolerated risk in force, or None if there is none.
        guaranteed_since_ms: the Unix time since which the risk has been guaranteed, in
            milliseconds, or None if it is not guaranteed.
        inputs_to_go: about how many more inputs it takes until the risk is guaranteed, or None if
            it is guaranteed, or if this is unknown.
        guarantee_alarms: how often the risk was found to be exceeded, or None if no risk is
            tolerated, or if none can be certified.
    """

    profile: str = ""
    bundle_version: str = ""
    capacity: int = 0
    battery: float = 1.0
    offload_share: float | None = None
    drifting: bool | None = None
    offload_target: float | None = None
    desired_bundle: str | None = None
    pending: int = 0
    tolerated_risk: float | None = None
    guaranteed_since_ms: int | None = None
    inputs_to_go: int | None = None
    guarantee_alarms: int | None = None


class ShareTarget(NamedTuple):
    """The operator's target offload share.

    Attributes:
        share: the share, 0 to 1, or None to use the device's own setting.
    """

    share: float | None


@dataclass(frozen=True, kw_only=True)
class Command:
    """The contents of one NCMD, a command from the host.

    Except for `rebirth`, a field is None if the command does not contain it.

    Attributes:
        rebirth: whether the host requests a birth certificate.
        acknowledgement: the acknowledgement of receipts.
        target: the target offload share.
        desired_bundle: the version of the bundle that the device should run.
    """

    rebirth: bool = False
    acknowledgement: receipt_pb2.OutboxAcknowledgement | None = None
    target: ShareTarget | None = None
    desired_bundle: str | None = None


class SparkplugNode:
    """Builds the messages of one connection.

    It tracks `seq` and the gauge values that were last reported to the host.
    """

    def __init__(self, bd_seq: int) -> None:
        """Prepare to build the messages of a new connection.

        Args:
            bd_seq: the number of this connection, 0 to 255. Its NBIRTH and its Will contain it.
        """
        self._bd_seq = bd_seq
        self._seq = 0
        self._reported: dict[str, MetricValue | None] = {}

    def death(self, *, now_ms: int) -> payload_pb2.Payload:
        """Build NDEATH, the message that ends a connection.

        It is the Will, and it is also published when the device ends the connection properly.

        Args:
            now_ms: the Unix time, in milliseconds.
        """
        return payload_pb2.Payload(
            timestamp=now_ms,
            metrics=[
                sparkplug_metrics.metric(
                    sparkplug_metrics.BD_SEQ, self._bd_seq, timestamp_ms=now_ms
                )
            ],
        )

    def birth(self, gauges: Gauges, depth: int, *, now_ms: int) -> payload_pb2.Payload:
        """Build NBIRTH, the message that begins a connection or answers a rebirth request.

        Every metric in it has a name, its current value (which may be null) and, except for the
        rebirth metric, an alias. `seq` is reset to 0.

        Args:
            gauges: the device's status.
            depth: the number of receipts in the outbox.
            now_ms: the Unix time, in milliseconds.
        """
        self._seq = 0
        self._reported = _gauge_values(gauges, depth)
        values: dict[str, MetricValue | None] = {
            sparkplug_metrics.BD_SEQ: self._bd_seq,
            sparkplug_metrics.REBIRTH: False,
            sparkplug_metrics.RECEIPTS: None,
            sparkplug_metrics.ACKNOWLEDGED: None,
            **self._reported,
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
        """Build NDATA, the message that reports changes and receipts.

        It contains the gauges that changed since the last message, and a batch of receipts if there
        is one. Each message increments `seq`.

        Args:
            gauges: the device's status.
            depth: the number of receipts in the outbox, without those in `batch`. If only this
                number has changed, and there is no batch, there is nothing to report.
            batch: the receipts to send, or None to send none.
            historical: whether the batch contains receipts that were sent before, or that were in
                the outbox when the device started.
            now_ms: the Unix time, in milliseconds.

        Returns:
            The message, or None if there is nothing to report.
        """
        values = _gauge_values(gauges, depth)
        changed = {name for name in values if values[name] != self._reported.get(name)}
        if batch is None and changed <= {sparkplug_metrics.OUTBOX_DEPTH}:
            return None
        self._reported = values
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
    """Return the contents of an NCMD, a command from the host.

    The metrics in it may have names or aliases. Unknown metrics are ignored.

    Raises:
        DecodeError: the payload is not a Sparkplug payload, or a metric has an invalid value.
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
                raise DecodeError(f"{name} must be bytes")
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
        raise DecodeError(f"{sparkplug_metrics.OFFLOAD_TARGET} must be a number from 0 to 1")
    return ShareTarget(value)


def _entry(name: str, value: MetricValue | None, now_ms: int) -> Metric:
    """Return a metric that is named by its alias."""
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
        sparkplug_metrics.PENDING: gauges.pending,
        sparkplug_metrics.TOLERATED_RISK: gauges.tolerated_risk,
        sparkplug_metrics.GUARANTEED_SINCE: gauges.guaranteed_since_ms,
        sparkplug_metrics.INPUTS_TO_GO: gauges.inputs_to_go,
        sparkplug_metrics.GUARANTEE_ALARMS: gauges.guarantee_alarms,
    }
