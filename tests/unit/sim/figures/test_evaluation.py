import numpy as np
import pytest

from nestling_cloud.learning.routing.rivals import Trial
from nestling_sim.figures.evaluation import (
    CURVE_SHARES,
    Evaluation,
    accuracy_at,
    curves,
    rivals_urgency,
)

# Eight inputs; the cloud is right where the device is wrong, and both are right once.
DEVICE = [1, 0, 0, 1, 1, 1, 0, 1]
CLOUD = [0, 1, 1, 1, 0, 1, 1, 0]
OFFLOADED = [0, 1, 0, 0, 0, 1, 1, 0]
FALLING = np.array([4, 3, 2, 1] * 2, np.float64)


def evaluation(cloud_open: list[int] | None = None) -> Evaluation:
    bools = {
        name: np.array(values, np.bool_)
        for name, values in (
            ("device", DEVICE),
            ("cloud", CLOUD),
            ("offloaded", OFFLOADED),
            ("cloud_open", cloud_open or [1] * 8),
        )
    }
    trial = Trial(
        logits=np.linspace([0, 1], [0, 3], 8, dtype=np.float32),
        device=bools["device"],
        cloud=bools["cloud"],
        cloud_logits=np.zeros((8, 2), np.float32),
        labels=np.zeros(8, np.int64),
    )
    return Evaluation(
        **bools,
        answered=np.where(bools["offloaded"], bools["cloud"], bools["device"]),
        urgency={"multiplexer": np.linspace(0.5, -0.5, 8), **rivals_urgency(trial)},
    )


def test_accuracy_is_the_devices_if_nothing_is_sent_and_the_clouds_if_all_is() -> None:
    both = evaluation()

    assert accuracy_at(both, FALLING, 0) == np.mean(DEVICE)
    assert accuracy_at(both, FALLING, 8) == np.mean(CLOUD)


def test_most_urgent_inputs_are_sent_first() -> None:
    # FALLING is largest at inputs 0 and 4, which become wrong, and then at 1, which becomes right.
    assert accuracy_at(evaluation(), FALLING, 3) == np.mean([0, 1, 0, 1, 0, 1, 0, 1])


def test_input_without_the_cloud_as_an_option_keeps_the_devices_answer() -> None:
    closed = evaluation(cloud_open=[0, 1, 1, 1, 0, 1, 1, 1])

    # The two most urgent inputs cannot be sent, so the next ones are.
    assert accuracy_at(closed, FALLING, 2) == np.mean([1, 1, 0, 1, 1, 1, 0, 1])


def test_no_more_inputs_are_sent_than_have_the_cloud_as_an_option() -> None:
    closed = evaluation(cloud_open=[0] * 8)

    assert accuracy_at(closed, FALLING, 8) == np.mean(DEVICE)


def test_oracle_ranks_inputs_by_whether_the_cloud_corrects_the_device() -> None:
    urgency = evaluation().urgency["oracle"]

    assert urgency.tolist() == [-1, 1, 1, 0, -1, 0, 1, -1]
    best = accuracy_at(evaluation(), urgency, 3)
    assert best == 1.0


@pytest.mark.parametrize("router", ["multiplexer", "max-softmax", "oracle", "random"])
def test_every_curve_runs_from_device_only_to_cloud_only(router: str) -> None:
    drawn = curves(evaluation())

    shares = [share for share, _ in drawn[router]]
    assert shares == list(CURVE_SHARES)
    assert drawn[router][0] == drawn["device-only"][0] == (0.0, sum(DEVICE) / 8)
    assert drawn[router][-1] == drawn["cloud-only"][0] == (1.0, sum(CLOUD) / 8)


def test_curves_assume_that_the_cloud_is_always_available() -> None:
    closed = evaluation(cloud_open=[0] * 8)

    assert curves(closed) == curves(evaluation())


def test_no_router_beats_the_oracle() -> None:
    drawn = curves(evaluation())

    for name in ("multiplexer", "max-softmax", "random"):
        for (_, best), (_, found) in zip(drawn["oracle"], drawn[name], strict=True):
            assert found <= best
