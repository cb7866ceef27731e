"""Response schemas of the API for fleet and devices: the views in a form that JSON can hold."""

from dataclasses import asdict
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from nestling_cloud.console.data.operating_point import PointState
from nestling_cloud.metrics.views import Bucket, DeviceRow, DeviceView, FleetView, Totals
from nestling_cloud.store.hard_inputs import HardInput

_PROVENANCE = "measured, calibrated or modelled; several are joined by a comma"


class RouteMessage(BaseModel):
    """Figures of the answers of one route, as devices reported them."""

    route: str
    answers: int
    fallbacks: int
    latency_p50_ms: float
    latency_p95_ms: float
    latency_p99_ms: float
    latency_provenance: str = Field(description=_PROVENANCE)


class EnergyMessage(BaseModel):
    """Energy of one route, source and provenance; never add two provenances."""

    route: str
    source: str
    provenance: str = Field(description=_PROVENANCE)
    answers: int
    energy_mj: float


class CloudOnlyMessage(BaseModel):
    """What sending all the same inputs to the cloud would have taken, as devices computed it."""

    provenance: str
    answers: int
    energy_mj: float
    size_bytes: int


class BucketEnergyMessage(BaseModel):
    """Energy of one step, source and provenance."""

    source: str
    provenance: str
    energy_mj: float


class BucketMessage(BaseModel):
    """One step of a series."""

    start_ms: int
    routes: dict[str, int]
    fallbacks: int
    energy: list[BucketEnergyMessage]

    @classmethod
    def of(cls, bucket: Bucket) -> Self:
        """Make a message from a view."""
        energy = [
            BucketEnergyMessage(source=source, provenance=provenance, energy_mj=energy_mj)
            for (source, provenance), energy_mj in sorted(bucket.energy_mj.items())
        ]
        return cls(
            start_ms=bucket.start_ms,
            routes=dict(bucket.routes),
            fallbacks=bucket.fallbacks,
            energy=energy,
        )


class TotalsMessage(BaseModel):
    """Figures over a time range."""

    answers: int
    fallbacks: int
    routes: list[RouteMessage]
    energy: list[EnergyMessage]
    cloud_only: list[CloudOnlyMessage]
    bytes_up: int
    bytes_down: int
    step_ms: int
    series: list[BucketMessage]

    @classmethod
    def of(cls, totals: Totals) -> Self:
        """Make a message from a view."""
        return cls(
            answers=totals.answers,
            fallbacks=totals.fallbacks,
            routes=[RouteMessage(**asdict(entry)) for entry in totals.routes],
            energy=[EnergyMessage(**asdict(entry)) for entry in totals.energy],
            cloud_only=[CloudOnlyMessage(**asdict(entry)) for entry in totals.cloud_only],
            bytes_up=totals.bytes_up,
            bytes_down=totals.bytes_down,
            step_ms=totals.step_ms,
            series=[BucketMessage.of(bucket) for bucket in totals.series],
        )


class FleetMessage(BaseModel):
    """The fleet over a time range, as its devices reported it."""

    since_ms: int
    until_ms: int
    known: int = Field(description="devices that have ever reported")
    online: int = Field(
        description="devices connected now; 0 while the cloud has no connection to the broker"
    )
    answering: int = Field(
        description="devices that answered an input in the time range, connected now or not"
    )
    bundles: dict[str, int] = Field(
        description="devices by the bundle version that they last reported"
    )
    dropped: int = Field(
        description="receipts that full outboxes have dropped since the store was created"
    )
    shared: list[str] = Field(
        description="devices under whose identity several copies of a state folder report"
    )
    totals: TotalsMessage

    @classmethod
    def of(cls, view: FleetView) -> Self:
        """Make a message from a view."""
        return cls(
            since_ms=view.range.since_ms,
            until_ms=view.range.until_ms,
            known=view.known,
            online=view.online,
            answering=view.answering,
            bundles=dict(view.bundles),
            dropped=view.dropped,
            shared=list(view.shared),
            totals=TotalsMessage.of(view.totals),
        )


class DeviceRowMessage(BaseModel):
    """What a device last reported."""

    device: str
    profile: str
    online: bool
    last_seen_ms: int
    bundle_version: str
    capacity: int
    battery: float
    outbox_depth: int
    offload_share: float | None
    target_share: float | None
    drifting: bool | None
    answers: int

    @classmethod
    def of(cls, row: DeviceRow) -> Self:
        """Make a message from a view."""
        return cls(**asdict(row))


class DevicesMessage(BaseModel):
    """One page of devices, and the number of devices on all pages."""

    total: int
    devices: list[DeviceRowMessage]


class AnswerMessage(BaseModel):
    """One answer."""

    answered_at_ms: int
    input_index: int
    route: str
    reason: str
    answer: int
    resident_capacity: int
    latency_ms: float
    energy_compute_mj: float
    energy_radio_mj: float
    energy_provenance: str
    budget_memory_bytes: int
    budget_energy_mj: float
    budget_battery: float
    budget_link_mbit_s: float
    budget_offload_share: float


class HardInputMessage(BaseModel):
    """An input that was sent to the cloud, without its values."""

    received_at_ms: int
    input_index: int
    shape: list[int]
    device_answer: int | None
    cloud_answer: int

    @classmethod
    def of(cls, one: HardInput) -> Self:
        """Make a message from a view."""
        return cls(
            received_at_ms=one.received_at_ms,
            input_index=one.input_index,
            shape=list(one.shape),
            device_answer=one.device_answer,
            cloud_answer=one.cloud_answer,
        )


class DeviceMessage(BaseModel):
    """One device over a time range."""

    since_ms: int
    until_ms: int
    device: DeviceRowMessage
    totals: TotalsMessage
    answers: list[AnswerMessage]
    hard_inputs: list[HardInputMessage]
    copies: int

    @classmethod
    def of(cls, view: DeviceView) -> Self:
        """Make a message from a view."""
        return cls(
            since_ms=view.range.since_ms,
            until_ms=view.range.until_ms,
            device=DeviceRowMessage.of(view.row),
            totals=TotalsMessage.of(view.totals),
            answers=[AnswerMessage(**asdict(point)) for point in view.answers],
            hard_inputs=[HardInputMessage.of(one) for one in view.hard_inputs],
            copies=view.copies,
        )


class StrictMessage(BaseModel):
    """Base of request bodies: exactly these fields, of exactly these types."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class TargetMessage(StrictMessage):
    """A target offload share; null removes the target."""

    offload_share: float | None = Field(ge=0, le=1)


class OperatingPointMessage(BaseModel):
    """An operating point: its target, the share in force on devices, and figures since the change.

    `in_force_min` and `in_force_max` are the smallest and largest share that devices report.
    """

    target_share: float | None
    in_force_min: float | None
    in_force_max: float | None
    set_at_ms: int | None
    set_by: str | None
    since: TotalsMessage | None

    @classmethod
    def of(cls, state: PointState) -> Self:
        """Make a message from a state."""
        low, high = state.in_force or (None, None)
        last = state.last_change
        return cls(
            target_share=state.target,
            in_force_min=low,
            in_force_max=high,
            set_at_ms=last.set_at_ms if last else None,
            set_by=last.set_by if last else None,
            since=TotalsMessage.of(state.since) if state.since else None,
        )
