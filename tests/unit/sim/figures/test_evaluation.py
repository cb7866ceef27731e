from dataclasses import replace

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import StreamFilter
from nestling_cloud.learning.routing.rivals import Trial
from nestling_core.kinds.labels import SINGLE_LABEL
from nestling_sim.figures.evaluation import (
    CURVE_SHARES,
    Evaluation,
    accuracy_at,
    curves,
    rivals_urgency,
    same_share,
)
from nestling_sim.figures.filtered_run import FilteredRun, one_capacity

# Eight inputs; the cloud is right where the device is wrong, and both are right once.
DEVICE = [1, 0, 0, 1, 1, 1, 0, 1]
CLOUD = [0, 1, 1, 1, 0, 1, 1, 0]
OFFLOADED = [0, 1, 0, 0, 0, 1, 1, 0]
FALLING = np.array([4, 3, 2, 1] * 2, np.float64)


def evaluation(cloud_open: list[int] | None = None) -> Evaluation:
    device, cloud, offloaded, opened = (
        np.array(values, np.bool_) for values in (DEVICE, CLOUD, OFFLOADED, cloud_open or [1] * 8)
    )
    trial = Trial(
        logits=np.linspace([0, 1], [0, 3], 8, dtype=np.float32),
        device=device,
        cloud=cloud,
        cloud_logits=np.zeros((8, 2), np.float32),
        labels=np.zeros(8, np.int64),
    )
    return Evaluation(
        device=device,
        cloud=cloud,
        answered=np.where(offloaded, cloud, device),
        revised=np.where(offloaded, cloud, device),
        offloaded=offloaded,
        cloud_open=opened,
        urgency={
            "bundle's router": np.linspace(0.5, -0.5, 8),
            **rivals_urgency(trial, SINGLE_LABEL),
        },
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


@pytest.mark.parametrize("router", ["bundle's router", "max-softmax", "margin"])
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
    both = evaluation()

    for count in range(9):
        best = accuracy_at(both, both.urgency["oracle"], count)
        for name in ("bundle's router", "max-softmax", "margin"):
            assert accuracy_at(both, both.urgency[name], count) <= best


def test_without_a_filter_no_figure_is_named_filtered() -> None:
    found = same_share(evaluation())

    assert found["hybrid"] == 7 / 8
    assert set(found) == {
        "device_only",
        "cloud_only",
        "hybrid",
        "max_softmax_same_share",
        "margin_same_share",
        "oracle_same_share",
    }
    assert not any(", filtered" in name for name in curves(evaluation()))


def filtered() -> Evaluation:
    """The same inputs as the stream of one device with two classes, of which 0 is always right."""
    device, cloud = (
        np.where(np.array(right)[:, None] == 1, [1.0, 0.0], [0.0, 1.0]).astype(np.float32)
        for right in (DEVICE, CLOUD)
    )
    right = np.tile(np.array([0.7, 0.8], np.float32), (8, 1))
    return replace(
        evaluation(),
        filtered=FilteredRun(
            filters=[StreamFilter(weight=1.0, doubt=0.05)],
            streams=one_capacity(np.arange(8, dtype=np.intp)[None], device, right, 4 * cloud),
            labels=np.zeros(8, np.int64),
            cloud=np.array([0, 1] * 4, np.bool_),
        ),
    )


def test_filter_that_forgets_gives_the_plain_figures() -> None:
    found = same_share(filtered())

    assert found["device_only_filtered"] == found["device_only"]
    assert found["cloud_only_filtered"] == 0.5
    for name in ("max_softmax", "margin"):
        assert found[f"{name}_filtered_same_share"] == found[f"{name}_same_share"]


def test_filtered_router_sends_nothing_without_the_cloud() -> None:
    found = same_share(replace(filtered(), cloud_open=np.zeros(8, np.bool_)))

    assert found["margin_filtered_same_share"] == found["device_only_filtered"]


def test_filtered_curves_stand_beside_the_plain_ones() -> None:
    drawn = curves(filtered())

    for name in ("max-softmax", "margin"):
        assert drawn[f"{name}, filtered"] == drawn[name]
    assert drawn["device-only, filtered"] == drawn["device-only"]
    assert drawn["cloud-only, filtered"] == [(1.0, 0.5)]
    assert drawn["bundle's router"][0] == drawn["device-only"][0]
    assert drawn["bundle's router"][-1] == (1.0, float(np.mean(CLOUD)))
