"""Plans by which a hand-made bundle certifies risks, and states in which a risk is certified."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from nestling.v1.bundle_pb2 import Calibration, Manifest, RoutingCurve
from nestling.v1.stream_pb2 import StreamState
from nestling_core.guarantee.certification import Terms, begin
from nestling_core.guarantee.guarantee_state import save
from nestling_device.inference.stream_state import Stream
from tests.support.hand_bundle import CAPACITIES, Blobs, load_hand_bundle


def add_plan(curve: RoutingCurve, *accept: float, dependence: int = 1) -> None:
    """Add a plan with these thresholds, which kept all calibration inputs, none of them changed."""
    curve.guarantee.inputs, curve.guarantee.dependence = 1000, dependence
    for threshold in accept:
        curve.guarantee.thresholds.add(accept_threshold=threshold, kept=1000, changed=0)


def with_plans(made: Calibration, *accept: float, dependence: int = 1) -> bytes:
    """Return an encoded calibration in which every curve has the same plan."""
    cascades = [one.curve for one in made.cascades if one.start]
    for curve in (*made.curves, *cascades):
        add_plan(curve, *accept, dependence=dependence)
    return made.SerializeToString()


def certified(
    folder: Path,
    bundle: tuple[Manifest, Blobs],
    *,
    risk: float,
    thresholds: int = 1,
    in_use: int = 1,
    start: int = CAPACITIES,
    capacity: int = CAPACITIES,
) -> Stream:
    """Return a stream whose device has certified the first thresholds of its plan."""
    terms = Terms(risk=risk, thresholds=thresholds, first=0, dependence=1, audit_share=0)
    one = replace(
        begin(terms), in_use=in_use, proven=np.arange(thresholds) < in_use, since=1_000_000
    )
    message = save(one, risk)
    message.start, message.capacity, message.certified_at_ms = start, capacity, 1
    version = load_hand_bundle(folder, bundle=bundle).version
    return Stream(state=StreamState(bundle_version=version, guarantees=[message]))
