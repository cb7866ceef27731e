"""The cloud's replay of a stream answers and routes each input as the device's agent does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Calibration, RoutingCurve, StreamFilter
from nestling.v1.receipt_pb2 import Receipt
from nestling_cloud.learning.routing import CascadeRule, at_once
from nestling_cloud.learning.routing.stream_replay import (
    Replay,
    Streams,
    Thresholds,
    evidence_of,
    replay,
)
from nestling_core.belief.evidence import softmax
from tests.support.agent_rig import KnowingCloud, budget, make_rig
from tests.support.hand_bundle import (
    CAPACITIES,
    CLASSES,
    MEMORY_BYTES,
    calibration,
    hand_bundle,
    load_hand_bundle,
)
from tests.support.hand_guarantee import add_plan, certified
from tests.support.hand_stream import random_stream

Windows = Sequence[NDArray[np.float32]]

_CASCADE = CascadeRule(start=1, top=CAPACITIES, threshold=0.1)
_COUNT = 25
RISK = 0.05
# Above it, no gain lies: under a tolerated risk, no input is sent at the gate.
_NO_GATE = 1.0
# A cloud that is right by chance does not correct the device's confidence.
_CHANCE = 1 / CLASSES

_filters = st.builds(
    StreamFilter,
    stay=st.floats(0, 0.99),
    reread=st.floats(0, 1),
    misread=st.floats(0.001, 0.499),
    weight=st.floats(0.05, 1),
    doubt=st.floats(0.01, 0.5),
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How the inputs of a stream are routed."""

    parameters: StreamFilter
    cascade: CascadeRule
    gate: float
    accept: float


_rules = st.builds(
    Rule,
    parameters=_filters,
    cascade=st.sampled_from([at_once(CAPACITIES), _CASCADE]),
    gate=st.floats(-0.5, 0.8),
    accept=st.floats(-0.5, 0.6),
)


def bundle_of(rule: Rule) -> Calibration:
    """Return a calibration with these thresholds for a share of 0.5, and a plan with the second."""
    made = calibration()
    if rule.cascade.start < rule.cascade.top:
        for _ in range(CAPACITIES):
            made.cascades.add()
        made.cascades[-1].start = rule.cascade.start
        made.cascades[-1].threshold = rule.cascade.threshold
        made.cascades[-1].curve.CopyFrom(made.curves[-1])
    for curve in (made.curves[-1], made.cascades[-1].curve if made.cascades else RoutingCurve()):
        curve.filter.CopyFrom(rule.parameters)
        curve.believed[:] = [0.0, 0.0]  # no input counts as drift
        add_plan(curve, rule.accept)
        for point in curve.points:
            if point.offload_share == 0.5:
                point.gate_threshold, point.accept_threshold = rule.gate, rule.accept
    return made


def on_the_device(
    folder: Path, rule: Rule, inputs: Windows, cloud: KnowingCloud, **limits: float
) -> list[Receipt]:
    """Return the receipts of an agent that answers the stream."""
    bundle = hand_bundle(calibration=bundle_of(rule).SerializeToString())
    stream = certified(folder, bundle, risk=RISK, start=rule.cascade.start)
    rig = make_rig(folder, bundle=bundle, cloud=cloud, stream=stream)
    given_budget = budget(memory_bytes=MEMORY_BYTES[0] + MEMORY_BYTES[-1], **limits)
    return [rig.agent.answer(n, one, given_budget) for n, one in enumerate(inputs)]


def in_the_cloud(folder: Path, rule: Rule, inputs: Windows, cloud: KnowingCloud) -> Replay:
    """Return the replay of the same stream, at the same thresholds."""
    nest = load_hand_bundle(folder).nest
    logits, right = [], []
    for capacity in range(1, CAPACITIES + 1):
        nest.load(capacity)
        outputs = [nest.run(one[None]) for one in inputs]
        logits.append(np.concatenate([output.logits for output in outputs]))
        right.append(np.concatenate([output.right for output in outputs]))
    believed = np.stack(right)
    streams = Streams(
        places=np.arange(len(inputs))[None],
        evidence=evidence_of(np.stack(logits), believed),
        right=believed.astype(np.float64),
        cloud=softmax(np.stack(cloud.logits)),
    )
    thresholds = Thresholds(gate=np.array([rule.gate]), accept=np.array([rule.accept]))
    return replay(rule.parameters, streams, rule.cascade, thresholds)


def assert_same(rule: Rule, receipts: Sequence[Receipt], replayed: Replay) -> None:
    """Compare each input's route, answer, and answer of the device."""
    ran = np.where(replayed.larger[0], rule.cascade.top, rule.cascade.start)
    routes = np.where(replayed.sent[0], 0, ran)
    assert [receipt.route.capacity for receipt in receipts] == routes.tolist()
    assert [receipt.answer for receipt in receipts] == replayed.answers[0].tolist()
    assert [receipt.device_answer for receipt in receipts] == replayed.device[0].tolist()


_slow = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)


# Two classes are almost equally likely here: only the rounding of the belief decides.
_NEAR_TIE = Rule(
    parameters=StreamFilter(stay=0.5, reread=0.0, misread=0.125, weight=1, doubt=0.5),
    cascade=at_once(CAPACITIES),
    gate=0.0,
    accept=0.5,
)


@_slow
@given(rule=_rules, seed=st.integers(0, 2**32 - 1))
@example(rule=_NEAR_TIE, seed=189896485)
def test_replay_is_the_agent_under_a_tolerated_risk(tmp_path: Path, rule: Rule, seed: int) -> None:
    inputs, cloud = random_stream(seed, _COUNT)

    receipts = on_the_device(tmp_path, rule, inputs, cloud, tolerated_risk=RISK)

    ungated = replace(rule, gate=_NO_GATE)
    assert_same(ungated, receipts, in_the_cloud(tmp_path, ungated, inputs, cloud))


@_slow
@given(rule=_rules, seed=st.integers(0, 2**32 - 1))
def test_replay_is_the_agent_at_a_target_share_while_answers_correct_nothing(
    tmp_path: Path, rule: Rule, seed: int
) -> None:
    inputs, cloud = random_stream(seed, _COUNT)
    for one in inputs:
        one.flat[CAPACITIES] = _CHANCE

    receipts = on_the_device(tmp_path, rule, inputs, cloud, offload_share=0.5)

    assert_same(rule, receipts, in_the_cloud(tmp_path, rule, inputs, cloud))


@_slow
@given(rule=_rules, seed=st.integers(0, 2**32 - 1))
def test_replay_is_the_agent_at_a_target_share_until_the_first_answer_corrects_it(
    tmp_path: Path, rule: Rule, seed: int
) -> None:
    inputs, cloud = random_stream(seed, _COUNT)
    replayed = in_the_cloud(tmp_path, rule, inputs, cloud)
    until = int(replayed.sent[0].argmax()) + 1 if replayed.sent.any() else _COUNT

    receipts = on_the_device(tmp_path, rule, inputs[:until], cloud, offload_share=0.5)

    first = Replay(
        sent=replayed.sent[:, :until],
        answers=replayed.answers[:, :until],
        device=replayed.device[:, :until],
        told=replayed.told[:, :until],
        larger=replayed.larger[:, :until],
    )
    assert_same(rule, receipts, first)


def test_random_streams_use_every_route(tmp_path: Path) -> None:
    parameters = StreamFilter(stay=0.8, reread=0.1, misread=0.2, weight=0.3, doubt=0.05)
    rule = Rule(parameters=parameters, cascade=_CASCADE, gate=0.4, accept=0.2)
    inputs, cloud = random_stream(0, 200)

    replayed = in_the_cloud(tmp_path, rule, inputs, cloud)

    kept = ~replayed.sent
    for share in (
        replayed.sent.mean(),
        replayed.larger[kept].mean(),
        (replayed.answers != replayed.device)[replayed.sent].mean(),
    ):
        assert 0.1 < share < 0.9
