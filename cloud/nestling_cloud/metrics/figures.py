"""Defines the types of the figures over a time range.

The figures describe a fleet or a single device. Every energy has a source and a provenance, which
says whether the energy is measured, calibrated or modelled. Energies of different provenance are
never added, because such a sum has no meaning. Times are in Unix milliseconds, shares are from 0 to
1, and energies are in millijoules.

A follow-up says what the cloud answered later to an input that the device had answered. Follow-ups
do not count as answers, but the figures include their energy and their bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nestling_cloud.metrics.agreement import agreement_interval


@dataclass(frozen=True, kw_only=True)
class RouteFigures:
    """Figures of the answers of one route.

    Attributes:
        route: the place where the inputs were answered, "capacity-<k>" or "cloud".
        answers: the number of answers.
        fallbacks: the number of these answers that devices gave because the cloud failed to answer.
        latency_p50_ms: the median latency, estimated from a histogram with an error of up to 5 %.
        latency_p95_ms: the 95th percentile of the latency, estimated in the same way.
        latency_p99_ms: the 99th percentile of the latency, estimated in the same way.
        latency_provenance: how the latencies are known: "measured", "calibrated" or "modelled".
            If the answers differ, all the words that apply are joined by ", ".
    """

    route: str
    answers: int
    fallbacks: int
    latency_p50_ms: float
    latency_p95_ms: float
    latency_p99_ms: float
    latency_provenance: str


@dataclass(frozen=True, kw_only=True)
class EnergyFigures:
    """Energy of one source and one provenance, summed over the answers of one route.

    Attributes:
        route: the place where the inputs were answered, "capacity-<k>" or "cloud"; "follow-up" for
            the energy that asking the cloud afterwards took.
        source: the source of the energy, "compute" or "radio".
        provenance: how the energy is known: "measured", "calibrated" or "modelled".
        answers: the number of answers that reported this energy; 0 for follow-ups.
        energy_mj: the sum of the energy over these answers, or over the follow-ups.
    """

    route: str
    source: str
    provenance: str
    answers: int
    energy_mj: float


@dataclass(frozen=True, kw_only=True)
class CloudOnly:
    """Energy and bytes that sending all answered inputs to the cloud would have taken.

    Attributes:
        provenance: how the energy is known: "measured", "calibrated" or "modelled".
        answers: the number of answers that reported these figures.
        energy_mj: the radio energy for all of these answers' inputs.
        size_bytes: the number of bytes sent and received for all of these answers' inputs.
    """

    provenance: str
    answers: int
    energy_mj: float
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One step of a series over time.

    Attributes:
        start_ms: the start of the step.
        routes: a mapping from each route to the number of its answers.
        fallbacks: the number of answers that devices gave because the cloud failed to answer.
        energy_mj: a mapping from each pair (source, provenance) to the sum of the energy,
            including that of follow-ups.
    """

    start_ms: int
    routes: Mapping[str, int]
    fallbacks: int
    energy_mj: Mapping[tuple[str, str], float]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Figures over a time range, of a fleet or of one device.

    Attributes:
        answers: the number of answers.
        fallbacks: the number of these answers that devices gave because the cloud failed to answer.
        routes: the figures by route; capacities come first, and the cloud comes last.
        energy: the energy by route, source and provenance.
        cloud_only: the cost of sending every input to the cloud, by provenance.
        bytes_up: the bytes that devices sent for offloads and follow-ups.
        bytes_down: the bytes that devices received for offloads and follow-ups.
        series: all steps of the range, oldest first, including those without answers.
        step_ms: the length of a step.
        estimated_answers: the number of answers that came from the devices' own models, with an
            estimate of the probability that they are right.
        expected_right: the sum of these probabilities. Devices correct them in the light of earlier
            answers of the cloud, except under a tolerated risk.
        audited: the number of audits that the cloud answered. An audit is a random check of an
            answer that a device kept by choice: the cloud answers the same input.
        agreeing: the number of audits in which the cloud agreed with the device.
        deferred: the number of answers that announced that the cloud would be asked later, because
            the cloud was not an option or failed.
        revised: the number of deferred inputs that the cloud answered later.
        changed: the number of these inputs for which the cloud's answer differs from the first.
        expired: the number of deferred inputs and audits that the cloud did not answer, and about
            which it is no longer asked.
    """

    answers: int
    fallbacks: int
    routes: tuple[RouteFigures, ...]
    energy: tuple[EnergyFigures, ...]
    cloud_only: tuple[CloudOnly, ...]
    bytes_up: int
    bytes_down: int
    series: tuple[Bucket, ...]
    step_ms: int
    estimated_answers: int = 0
    expected_right: float = 0.0
    audited: int = 0
    agreeing: int = 0
    deferred: int = 0
    revised: int = 0
    changed: int = 0
    expired: int = 0

    @property
    def device_accuracy(self) -> float | None:
        """The accuracy that the devices expect of the answers from their own models.

        It is None if no answer came with an estimate.
        """
        return self.expected_right / self.estimated_answers if self.estimated_answers else None

    @property
    def agreement(self) -> float | None:
        """The share of the audited answers with which the cloud agrees; None without audits."""
        return self.agreeing / self.audited if self.audited else None

    @property
    def agreement_interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the agreement; None without audits."""
        return agreement_interval(self.agreeing, self.audited) if self.audited else None
