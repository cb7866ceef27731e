"""Response schemas of the API for the released bundle and federated rounds."""

from dataclasses import asdict
from typing import Any, Self

from pydantic import BaseModel, Field

from nestling_cloud.console.data.released_bundle import Models
from nestling_cloud.console.data.rounds import RoundView


class PointMessage(BaseModel):
    """One operating point of a routing curve, from the calibration inputs."""

    offload_share: float
    gate_threshold: float
    accept_threshold: float
    calibration_accuracy: float = Field(
        description="on the calibration inputs, measured when the bundle was built; not the fleet's"
    )


class ModelsMessage(BaseModel):
    """The released bundle: what `nestling-cloud bundle show --json` prints, and its curves.

    The accuracies were measured on the calibration inputs when the bundle was built. None of the
    figures is measured on the fleet.
    """

    bundle: dict[str, Any]
    curves: list[list[PointMessage]] = Field(description="by capacity, smallest first")
    calibration_inputs: int = Field(
        description="number of inputs that accuracies and curves were computed from"
    )

    @classmethod
    def of(cls, models: Models) -> Self:
        """Make a message from the bundle."""
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
            calibration_inputs=models.calibration_inputs,
        )


class DroppedMessage(BaseModel):
    """A client that was left out of a round."""

    device: str
    reason: str


class RoundMessage(BaseModel):
    """One federated round: `number` counts within its run, `place` over all runs."""

    run: str
    number: int
    place: int
    ended_at_ms: int
    invited: int
    used: int
    examples: int
    calibration_accuracy: list[float] = Field(
        description="accuracy of each capacity after the round, on the cloud's calibration inputs, "
        "not on the fleet's"
    )
    dropped: list[DroppedMessage]
    averaged: bool
    bundle_version: str
    verdict: str

    @classmethod
    def of(cls, one: RoundView) -> Self:
        """Make a message from a view."""
        return cls(**asdict(one))
