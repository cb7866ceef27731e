"""Defines the schemas of the API's requests and responses.

Responses are built from views, the dataclasses of figures in `metrics` and `console.data`. A view
that needs no change to become JSON has no class here, because the routes return the view itself.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field

from nestling_cloud.bundles.routing_facts import RoutingFacts
from nestling_cloud.console.data.health import Finding
from nestling_cloud.console.data.operating_point import PointState
from nestling_cloud.console.data.released_bundle import Models
from nestling_cloud.metrics.figures import CloudOnly, EnergyFigures, RouteFigures
from nestling_cloud.metrics.views import DeviceRow

Since = Annotated[int, Field(validation_alias=AliasPath("range", "since_ms"))]
Until = Annotated[int, Field(validation_alias=AliasPath("range", "until_ms"))]


class ViewMessage(BaseModel):
    """Base class for responses that `model_validate` builds from the attributes of a view."""

    model_config = ConfigDict(from_attributes=True)


class StepEnergyMessage(BaseModel):
    """Energy from one source with one provenance, summed over the answers in one time step.

    The provenance says how the energy is known: measured, calibrated or modelled.
    """

    source: str
    provenance: str
    energy_mj: float


def _energy_entries(energy_mj: Mapping[tuple[str, str], float]) -> list[StepEnergyMessage]:
    return [
        StepEnergyMessage(source=source, provenance=provenance, energy_mj=value)
        for (source, provenance), value in sorted(energy_mj.items())
    ]


class StepMessage(ViewMessage):
    """The figures of one time step in a series."""

    start_ms: int
    routes: Mapping[str, int]
    fallbacks: int
    energy: Annotated[
        list[StepEnergyMessage],
        BeforeValidator(_energy_entries),
        Field(validation_alias="energy_mj"),
    ]


class TotalsMessage(ViewMessage):
    """The figures of the fleet or of one device over a time range.

    Follow-ups, by which devices ask the cloud about inputs that they have already answered, do not
    count as answers. However, the figures include their energy and their bytes.
    """

    answers: int
    fallbacks: int
    routes: tuple[RouteFigures, ...]
    energy: tuple[EnergyFigures, ...]
    cloud_only: tuple[CloudOnly, ...]
    bytes_up: int
    bytes_down: int
    estimated_answers: int = Field(
        description="answers that devices gave themselves, with an estimate of their accuracy"
    )
    device_accuracy: float | None = Field(
        description="accuracy of these answers as expected by the devices, corrected by the "
        "cloud's answers; not measured"
    )
    audited: int = Field(
        description="audits that the cloud answered: answers, drawn at random among those kept by "
        "choice, of which it said whether it agrees"
    )
    agreeing: int = Field(description="audited answers with which the cloud agreed")
    agreement: float | None = Field(
        description="share of the audited answers with which the cloud agreed; null without audits"
    )
    agreement_interval: tuple[float, float] | None = Field(
        description="95 % confidence interval of this share (Clopper-Pearson)"
    )
    deferred: int = Field(
        description="answers about whose inputs the cloud is asked later, because it was no option"
    )
    revised: int = Field(description="deferred inputs that the cloud answered later")
    changed: int = Field(description="deferred inputs for which its answer differs from the first")
    expired: int = Field(
        description="deferred inputs and audits to which the cloud gave no answer, and about which "
        "it is not asked any more"
    )
    step_ms: int
    series: tuple[StepMessage, ...]


class FleetMessage(ViewMessage):
    """The state of the fleet, and its figures over a time range, as the devices reported them."""

    since_ms: Since
    until_ms: Until
    known: int = Field(description="devices that have ever reported")
    online: int = Field(
        description="devices connected now; 0 while the cloud has no connection to the broker"
    )
    answering: int = Field(
        description="devices that answered an input in the time range, connected now or not"
    )
    bundles: Mapping[str, int] = Field(
        description="devices by the bundle version that they last reported"
    )
    dropped: int = Field(
        description="receipts that full outboxes have dropped since the store was created"
    )
    tolerating: int = Field(
        validation_alias=AliasPath("guarantees", "tolerating"),
        description="devices that last reported a tolerated risk",
    )
    guaranteed: int = Field(
        validation_alias=AliasPath("guarantees", "guaranteed"),
        description="devices among these on which the risk is guaranteed",
    )
    alarmed: int = Field(
        validation_alias=AliasPath("guarantees", "alarmed"),
        description="devices among these that found the risk exceeded at least once",
    )
    guaranteed_since_ms: int | None = Field(
        validation_alias=AliasPath("guarantees", "guaranteed_since_ms"),
        description="time since which the risk has been guaranteed on all devices on which it is "
        "now; null if there are none",
    )
    inputs_to_go: int | None = Field(
        validation_alias=AliasPath("guarantees", "inputs_to_go"),
        description="about the largest number of inputs that are missing on the other devices, as "
        "far as these know it; null if none does",
    )
    shared: tuple[str, ...] = Field(
        description="devices under whose identity several copies of a state folder report"
    )
    totals: TotalsMessage


class DevicesMessage(BaseModel):
    """One page of the table of devices, and the number of devices on all pages."""

    total: int
    devices: Sequence[DeviceRow]


class StrictMessage(BaseModel):
    """Base class for request bodies, in which unknown fields and wrong types are rejected."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class TargetMessage(StrictMessage):
    """A request to set the target offload share, the share of inputs to send to the cloud.

    Devices keep the share over 500 inputs, or over their own `target_window`; with a window of 0
    they use a static threshold instead. If `offload_share` is null, the target is removed.
    """

    offload_share: float | None = Field(ge=0, le=1)


class OperatingPointMessage(BaseModel):
    """The target offload share of the fleet or a device, and what devices report about it.

    The offload share is the share of inputs that devices send to the cloud. `in_force_min` and
    `in_force_max` are the smallest and the largest target share that devices report to be in force.
    `set_at_ms` and `set_by` describe the last change of the target, and `since` contains the
    figures since that change.
    """

    target_share: float | None
    in_force_min: float | None
    in_force_max: float | None
    set_at_ms: int | None
    set_by: str | None
    since: TotalsMessage | None

    @classmethod
    def of(cls, state: PointState) -> Self:
        """Build the message from the state of an operating point."""
        low, high = state.in_force or (None, None)
        last = state.last_change
        return cls(
            target_share=state.target,
            in_force_min=low,
            in_force_max=high,
            set_at_ms=last.set_at_ms if last else None,
            set_by=last.set_by if last else None,
            since=TotalsMessage.model_validate(state.since) if state.since else None,
        )


class PointMessage(BaseModel):
    """One operating point of a routing curve, found on the calibration inputs.

    An operating point is the pair of thresholds for one target offload share, with the accuracy on
    the calibration inputs at these thresholds.
    """

    offload_share: float
    gate_threshold: float
    accept_threshold: float
    calibration_accuracy: float = Field(
        description="on the calibration inputs, measured when the bundle was built; not the fleet's"
    )


class ModelsMessage(BaseModel):
    """The released bundle and its routing curves.

    `bundle` is what `nestling-cloud bundle show --json` prints. The accuracies were measured on the
    calibration inputs when the bundle was built. None of the figures is measured on the fleet.
    """

    bundle: dict[str, Any]
    curves: list[list[PointMessage]] = Field(description="by capacity, smallest first")
    routing: RoutingFacts = Field(
        description="the rule that routes, the stream filters, and where the cloud is less accurate"
    )
    calibration_inputs: int = Field(
        description="number of inputs on which `bundle` was measured; 0 if unknown"
    )
    held_out_inputs: int = Field(
        description="number of those inputs that the curves were computed from"
    )

    @classmethod
    def of(cls, models: Models) -> Self:
        """Build the message from a released bundle."""
        return cls(
            bundle=models.overview,
            curves=[
                [
                    PointMessage(
                        offload_share=point.offload_share,
                        gate_threshold=point.gate_threshold,
                        accept_threshold=point.accept_threshold,
                        calibration_accuracy=point.accuracy,
                    )
                    for point in curve.points
                ]
                for curve in models.curves
            ],
            routing=models.routing,
            calibration_inputs=models.calibration_inputs,
            held_out_inputs=models.held_out_inputs,
        )


class HealthMessage(BaseModel):
    """The problems that were found, worst first.

    The list is empty if no problem was found.
    """

    findings: Sequence[Finding]
