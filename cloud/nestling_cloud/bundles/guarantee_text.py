"""Estimates how soon devices certify tolerated risks, as JSON values and as text.

A device certifies a risk on its own inputs. These estimates follow from the calibration inputs of a
bundle and guarantee nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nestling.v1.bundle_pb2 import Calibration, Cascade, GuaranteePlan, RoutingCurve
from nestling_core.guarantee.certification import Terms, begin
from nestling_core.guarantee.expectations import expected_inputs, first_threshold, inputs_to_go

_RISKS = (0.01, 0.02, 0.05, 0.1)
_HEADING = (
    "tolerated risks: about how many inputs a device needs to certify each on its own inputs, and "
    "the share that it sends from then on; an estimate from calibration inputs, no guarantee:"
)


def guarantee_estimates(calibration: Calibration) -> list[dict[str, Any]]:
    """Return how soon devices are expected to certify risks, as JSON values.

    Args:
        calibration: the bundle's calibration.

    Returns:
        One mapping for each capacity, the smallest first, with four entries:

        - `capacity`: the number of the capacity, from 1.
        - `estimates`: the estimates for devices on which no smaller capacity runs first, one for
          each risk of 1, 2, 5 and 10 %. Each is a mapping with the tolerated `risk`; the number of
          `inputs` until it is certified, or None if that cannot be foreseen; and the share of
          inputs that is sent from then on, `offload_share`, or None. The list is empty if the
          bundle has no plan, because there were too few calibration inputs, or because clients of
          federated rounds found that the cloud is worse than they are.
        - `start`: the number of the smaller capacity that runs first in a cascade; 0 if the
          capacity has no cascade.
        - `by_cascade`: the estimates for the cascade, in the same form as `estimates`; empty if
          the capacity has no cascade.
    """
    cascades = list(calibration.cascades) or [Cascade()] * len(calibration.curves)
    return [
        {
            "capacity": number,
            "estimates": _of_curve(curve),
            "start": cascade.start,
            "by_cascade": _of_curve(cascade.curve),
        }
        for number, (curve, cascade) in enumerate(
            zip(calibration.curves, cascades, strict=True), start=1
        )
    ]


def _of_curve(curve: RoutingCurve) -> list[dict[str, Any]]:
    if not curve.HasField("guarantee"):
        return []
    return [_estimate(curve.guarantee, risk) for risk in _RISKS]


def _estimate(plan: GuaranteePlan, risk: float) -> dict[str, Any]:
    first = first_threshold(plan, risk)
    terms = Terms(
        risk=risk,
        thresholds=len(plan.thresholds),
        first=first,
        dependence=plan.dependence,
        audit_share=0.0,
    )
    missing = begin(terms).missing(terms)
    inputs = inputs_to_go(plan, risk, missing, audits=0, kept=(), changed=())
    soonest = int(expected_inputs(plan, risk, missing).argmin())
    share = 1 - plan.thresholds[soonest].kept / max(plan.inputs, 1)
    return {"risk": risk, "inputs": inputs, "offload_share": share if inputs else None}


def guarantee_lines(listed: Sequence[dict[str, Any]]) -> list[str]:
    """Return the output of `guarantee_estimates` as lines of text.

    The first line is a heading. Each capacity has one line, and a second one if it has a cascade.
    """
    lines = [_HEADING]
    for entry in listed:
        lines.append(f"  capacity {entry['capacity']}: {_text(entry['estimates'])}")
        if entry["start"]:
            cascade = f"cascade from {entry['start']} to {entry['capacity']}"
            lines.append(f"  {cascade}: {_text(entry['by_cascade'])}")
    return lines


def _text(estimates: Sequence[dict[str, Any]]) -> str:
    if not estimates:
        return (
            "none can be certified; the bundle had too few calibration inputs, or its clients "
            "found that the cloud is worse"
        )
    return ", ".join(map(_estimate_text, estimates))


def _estimate_text(estimate: Mapping[str, Any]) -> str:
    risk, inputs = f"{estimate['risk']:.0%}", estimate["inputs"]
    if inputs is None:
        return f"{risk} not foreseeable"
    return f"{risk} after {_rounded(inputs):,} (sends {estimate['offload_share']:.0%})"


def _rounded(count: int) -> int:
    """Round a number to two digits, because it is an estimate."""
    return int(float(f"{count:.2g}"))
