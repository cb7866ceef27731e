"""What the cloud's batch rules say of inputs is what a device does with them, one by one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.agent_rig import budget, world
from tests.support.hand_bundle import CAPACITIES, MEMORY_BYTES, calibration, hand_bundle, window

from nestling_cloud.learning.routing import Ascent, at_once, climbs, gains
from nestling_core.routing.curve import point_at

_WAY_UP = Ascent(start=1, top=CAPACITIES, price=0.3)
_probabilities = st.floats(0, 1, width=32)
_success = st.tuples(*[_probabilities] * (CAPACITIES + 1))


def bundle_of(ascent: Ascent) -> bytes:
    """A calibration with prices of its own on the way up."""
    made = calibration()
    if ascent.start < ascent.top:
        for _ in range(CAPACITIES):
            made.climbs.add()
        made.climbs[-1].start, made.climbs[-1].price = ascent.start, ascent.price
        made.climbs[-1].curve.CopyFrom(made.curves[-1])
        for point in made.climbs[-1].curve.points:
            point.accept_price += 0.1
    return made.SerializeToString()


@pytest.mark.parametrize("ascent", [at_once(CAPACITIES), _WAY_UP], ids=["at once", "way up"])
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(inputs=st.lists(_success, min_size=1, max_size=20), share=st.floats(0, 1))
def test_batch_rules_send_and_climb_as_the_agent_does(
    tmp_path: Path, ascent: Ascent, inputs: list[tuple[float, ...]], share: float
) -> None:
    made = calibration()
    made.ParseFromString(bundle_of(ascent))
    curve = made.curves[-1] if ascent.start == ascent.top else made.climbs[-1].curve
    point = point_at(curve, share)
    # Whichever capacity ran, it says of the options what the test wrote into the input.
    believed = np.repeat(np.array([inputs], np.float32), CAPACITIES, axis=0)
    sent = gains(ascent, believed).sent(point.gate_price, point.accept_price)
    last = np.where(
        (ascent.start == ascent.top) | climbs(ascent, believed), ascent.top, ascent.start
    )

    w = world(tmp_path, bundle=hand_bundle(calibration=bundle_of(ascent)))
    limits = budget(memory_bytes=MEMORY_BYTES[0] + MEMORY_BYTES[-1], offload_share=share)
    receipts = [w.agent.answer(n, window(*one), limits) for n, one in enumerate(inputs)]

    assert [receipt.route.capacity for receipt in receipts] == np.where(sent, 0, last).tolist()
