import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Calibration
from nestling_cloud.learning.routing import (
    SHARES,
    CascadeRule,
    Design,
    Estimator,
    RoutingData,
    at_once,
    beliefs,
    calibrate,
    fit_multiplexer,
    gains,
    of_answering_capacity,
    runs_larger,
    share_out,
)
from nestling_cloud.progress import SilentProgress
from tests.support.loudness_task import Hardness, better_larger_one, loud_and_quiet

MACS = (100_000, 8_000_000)


@pytest.fixture(scope="module")
def known() -> Hardness:
    return loud_and_quiet(3000, seed=0)


@pytest.fixture(scope="module")
def multiplexer(known: Hardness) -> Estimator:
    return fit_multiplexer(
        share_out(known.data)[0], seed=0, progress=SilentProgress(), design=Design()
    )


@pytest.fixture(scope="module")
def calibration(multiplexer: Estimator, known: Hardness) -> Calibration:
    return calibrate(multiplexer, *share_out(known.data), MACS)


def test_inputs_are_split_in_recorded_order(known: Hardness) -> None:
    fitted, held_out = share_out(known.data)

    assert (len(fitted), len(held_out)) == (1800, 1200)
    assert np.array_equal(np.concatenate([fitted.inputs, held_out.inputs]), known.data.inputs)


def test_calibration_has_a_curve_from_none_to_all_for_each_capacity(
    calibration: Calibration,
) -> None:
    assert calibration.inputs == 1200
    assert len(calibration.curves) == 2
    for curve in calibration.curves:
        assert [point.offload_share for point in curve.points] == list(SHARES)
        assert (SHARES[0], SHARES[-1]) == (0.0, 1.0)


def test_calibration_ends_are_the_device_alone_and_the_cloud_alone(
    calibration: Calibration, known: Hardness
) -> None:
    right = share_out(known.data)[1].right
    for index, curve in enumerate(calibration.curves):
        assert curve.points[0].accuracy == pytest.approx(right[:, index].mean())
        assert curve.points[-1].accuracy == pytest.approx(right[:, 2].mean())


def test_calibrated_router_beats_offloading_at_random(
    calibration: Calibration, known: Hardness
) -> None:
    device, cloud = known.data.right[:, 0].mean(), known.data.right[:, 2].mean()

    (point,) = [p for p in calibration.curves[0].points if p.offload_share == 0.3]

    at_random = 0.7 * device + 0.3 * cloud
    assert point.accuracy > at_random + 0.08


def test_thresholds_come_from_inputs_that_nothing_was_fitted_on(
    multiplexer: Estimator, known: Hardness
) -> None:
    fitted, held_out = share_out(known.data)
    loud = known.loud[len(fitted) :]
    quiet = held_out.part(np.flatnonzero(~loud))  # other inputs than those it was fitted on

    curve = calibrate(multiplexer, fitted, quiet, MACS).curves[0]

    (point,) = [p for p in curve.points if p.offload_share == 0.3]
    found = gains(at_once(1), beliefs(multiplexer, quiet))
    sent = found.sent(point.gate_threshold, point.accept_threshold)
    assert sent.mean() == pytest.approx(0.3, abs=0.01)


def test_cascade_has_its_own_curve(known: Hardness) -> None:
    fitted, held_out = share_out(better_larger_one(known.data))
    multiplexer = fit_multiplexer(fitted, seed=0, progress=SilentProgress(), design=Design())

    found = calibrate(multiplexer, fitted, held_out, MACS)

    first, second = found.cascades
    believed = beliefs(multiplexer, held_out)
    cascade = CascadeRule(start=1, top=2, threshold=second.threshold)
    answered = of_answering_capacity(cascade, believed, held_out.right)
    assert first.start == 0
    assert second.start == 1
    assert 0.2 < second.larger_share < 0.8
    assert second.larger_share == pytest.approx(runs_larger(cascade, believed).mean())
    assert second.curve.points[0].accuracy == pytest.approx(answered.mean())
    assert answered.mean() > held_out.right[:, 0].mean() + 0.1
    assert second.curve != found.curves[0]
    assert second.curve != found.curves[1]


def test_plan_has_what_each_threshold_does_on_held_out_inputs(
    calibration: Calibration, multiplexer: Estimator, known: Hardness
) -> None:
    _, held_out = share_out(known.data)
    for capacity, curve in enumerate(calibration.curves, start=1):
        plan = curve.guarantee
        accept = np.array([one.accept_threshold for one in plan.thresholds])
        gained = gains(at_once(capacity), beliefs(multiplexer, held_out)).accept
        kept = gained <= accept[:, None]
        differs = ~held_out.agrees[:, capacity - 1]
        assert (plan.inputs, plan.dependence) == (1200, 1)
        assert [one.kept for one in plan.thresholds] == kept.sum(axis=1).tolist()
        assert [one.changed for one in plan.thresholds] == (kept & differs).sum(axis=1).tolist()
        assert 1 - kept[0].mean() == pytest.approx(0.9, abs=0.01)
        assert kept[-1].all()
        assert len(accept) >= 15
        assert (np.diff(accept) > 0).all()


def test_plan_of_a_cascade_counts_the_answers_of_its_last_run(known: Hardness) -> None:
    fitted, held_out = share_out(better_larger_one(known.data))
    multiplexer = fit_multiplexer(fitted, seed=0, progress=SilentProgress(), design=Design())

    cascade = calibrate(multiplexer, fitted, held_out, MACS).cascades[1]

    rule = CascadeRule(start=1, top=2, threshold=cascade.threshold)
    differs = ~of_answering_capacity(rule, beliefs(multiplexer, held_out), held_out.agrees)
    assert cascade.curve.guarantee.thresholds[-1].changed == differs.sum()


def test_too_few_inputs_have_no_plan(multiplexer: Estimator, known: Hardness) -> None:
    fitted, held_out = share_out(known.data)

    few, enough = (
        calibrate(multiplexer, fitted, held_out.part(np.arange(count)), MACS) for count in (49, 50)
    )

    assert not any(curve.HasField("guarantee") for curve in few.curves)
    assert all(curve.HasField("guarantee") for curve in enough.curves)


@pytest.mark.parametrize("right", [True, False], ids=["all right", "all wrong"])
def test_inputs_on_which_all_options_are_right_or_wrong_still_give_thresholds(
    known: Hardness, *, right: bool
) -> None:
    data = known.data
    answers = data.logits[0].argmax(axis=1)
    one_sided = RoutingData(
        inputs=data.inputs,
        logits=data.logits,
        cloud=data.logits[0],
        labels=answers if right else (answers + 1) % 3,
    )
    fitted, held_out = share_out(one_sided)

    multiplexer = fit_multiplexer(fitted, seed=0, progress=SilentProgress(), design=Design())
    curve = calibrate(multiplexer, fitted, held_out, MACS).curves[0]

    thresholds = [
        value for point in curve.points for value in (point.gate_threshold, point.accept_threshold)
    ]
    assert np.isfinite(thresholds).all()
    assert [point.accuracy for point in curve.points] == [float(right)] * len(SHARES)
    assert [one.changed for one in curve.guarantee.thresholds] == (
        [0] * len(curve.guarantee.thresholds)
    )
    assert curve.guarantee.thresholds[-1].kept == len(held_out)


def test_curves_have_quantiles_of_the_success_predicted_for_the_top_capacity(
    known: Hardness,
) -> None:
    fitted, held_out = share_out(better_larger_one(known.data))
    multiplexer = fit_multiplexer(fitted, seed=0, progress=SilentProgress(), design=Design())

    found = calibrate(multiplexer, fitted, held_out, MACS)

    believed = beliefs(multiplexer, held_out)
    for curve, option in (
        (found.curves[0], believed[0, :, 0]),
        (found.curves[1], believed[1, :, 1]),
        (found.cascades[1].curve, believed[0, :, 1]),
    ):
        assert curve.believed[0] == pytest.approx(option.min())
        assert curve.believed[16] == pytest.approx(np.median(option))
        assert curve.believed[-1] == pytest.approx(option.max())
