"""The cloud's batch rules route inputs as a device does one by one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestling_cloud.learning.routing import CascadeRule, at_once, gains, runs_larger
from nestling_core.routing.curve import point_at
from tests.support.agent_rig import budget, make_rig
from tests.support.hand_bundle import CAPACITIES, MEMORY_BYTES, calibration, hand_bundle, window

_CASCADE = CascadeRule(start=1, top=CAPACITIES, threshold=0.3)
_probabilities = st.floats(0, 1, width=32)
_success = st.tuples(*[_probabilities] * (CAPACITIES + 1))


def bundle_of(cascade: CascadeRule) -> bytes:
    """Return an encoded calibration with separate thresholds for a cascade."""
    made = calibration()
    if cascade.start < cascade.top:
        for _ in range(CAPACITIES):
            made.cascades.add()
        made.cascades[-1].start, made.cascades[-1].threshold = cascade.start, cascade.threshold
        made.cascades[-1].curve.CopyFrom(made.curves[-1])
        for point in made.cascades[-1].curve.points:
            point.accept_threshold += 0.1
    return made.SerializeToString()


@pytest.mark.parametrize("cascade", [at_once(CAPACITIES), _CASCADE], ids=["at once", "cascade"])
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(inputs=st.lists(_success, min_size=1, max_size=20), share=st.floats(0, 1))
def test_batch_rules_send_and_cascade_as_the_agent_does(
    tmp_path: Path, cascade: CascadeRule, inputs: list[tuple[float, ...]], share: float
) -> None:
    made = calibration()
    made.ParseFromString(bundle_of(cascade))
    curve = made.curves[-1] if cascade.start == cascade.top else made.cascades[-1].curve
    point = point_at(curve, share)
    # Whichever capacity ran, it predicts the probabilities that the test wrote into the input.
    believed = np.repeat(np.array([inputs], np.float32), CAPACITIES, axis=0)
    sent = gains(cascade, believed).sent(point.gate_threshold, point.accept_threshold)
    last = np.where(
        (cascade.start == cascade.top) | runs_larger(cascade, believed), cascade.top, cascade.start
    )

    bundle = hand_bundle(calibration=made.SerializeToString())
    limits = budget(memory_bytes=MEMORY_BYTES[0] + MEMORY_BYTES[-1], offload_share=share)
    # Each input has an agent of its own, whose confidence no earlier answer has corrected.
    receipts = [
        make_rig(tmp_path, bundle=bundle).agent.answer(n, window(*one), limits)
        for n, one in enumerate(inputs)
    ]

    assert [receipt.route.capacity for receipt in receipts] == np.where(sent, 0, last).tolist()
