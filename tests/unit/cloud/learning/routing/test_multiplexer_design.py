"""A multiplexer uses the probability of each class only where that is shown to help."""

from collections.abc import Callable

import numpy as np
import pytest

from nestling_cloud.learning.routing import (
    FEWEST_FITTED,
    Design,
    RoutingData,
    at_once,
    beliefs,
    choose_design,
    fit_multiplexer,
    gains,
)
from nestling_cloud.progress import SilentProgress
from tests.support.loudness_task import loud_and_quiet, noisy_labels, specialist_cloud
from tests.support.recorded import recorded


def design_of(data: RoutingData) -> Design:
    return choose_design(data, seed=0, progress=SilentProgress())


def gained(data: RoutingData, unseen: RoutingData, design: Design) -> float:
    """Return the accuracy gained by sending the fifth of inputs with the largest gain, %."""
    multiplexer = fit_multiplexer(data, seed=0, progress=SilentProgress(), design=design)
    urgency = gains(at_once(1), beliefs(multiplexer, unseen)).accept
    sent = np.argsort(-urgency, kind="stable")[: len(unseen) // 5]
    right = unseen.right[sent].astype(float)
    return float(100 * (right[:, -1] - right[:, 0]).sum() / len(unseen))


def test_classes_are_not_used_where_they_carry_no_information() -> None:
    assert not design_of(loud_and_quiet(2000, seed=0).data).knows_classes


@pytest.mark.parametrize("made", [specialist_cloud, noisy_labels])
def test_classes_are_used_where_the_cloud_is_good_for_some_classes_only(
    made: Callable[[int, int], RoutingData],
) -> None:
    known, unseen = made(2000, 0), made(2000, 1)

    design = design_of(known)

    assert design.knows_classes
    assert gained(known, unseen, design) > gained(known, unseen, Design()) + 1


def test_confidently_wrong_teacher_has_no_weight_in_the_targets() -> None:
    assert design_of(specialist_cloud(2000, 0)).label_part == 1


def test_too_few_inputs_keep_the_plain_rule() -> None:
    assert design_of(specialist_cloud(400, 0)) == Design(rule="max-softmax")


def test_the_same_inputs_give_the_same_design() -> None:
    data = specialist_cloud(1000, 3)

    assert design_of(data) == design_of(data)


@pytest.mark.parametrize("count", [50, 130, 499])
def test_plain_rule_is_chosen_where_networks_would_have_too_few_inputs(count: int) -> None:
    assert design_of(noisy_labels(count, 0)) == Design(rule="max-softmax")
    assert count < FEWEST_FITTED


def test_chosen_design_loses_nothing_where_confidence_tells_all() -> None:
    known, unseen = loud_and_quiet(1000, 0).data, loud_and_quiet(2000, 10).data

    design = design_of(known)

    assert gained(known, unseen, design) > gained(known, unseen, Design(rule="max-softmax")) - 0.5


def test_network_is_chosen_only_if_it_proves_better() -> None:
    known, unseen = specialist_cloud(2000, 0), specialist_cloud(2000, 1)

    design = design_of(known)

    assert design.rule == "network"
    assert gained(known, unseen, design) > gained(known, unseen, Design(rule="max-softmax")) + 1


def test_recordings_that_are_too_few_for_networks_keep_the_plain_rule() -> None:
    data = recorded(8, seed=0, length=50)

    assert len(data) < FEWEST_FITTED
    assert design_of(data) == Design(rule="max-softmax")


def test_rule_for_recordings_is_one_that_ranks_by_confidence() -> None:
    data = recorded(12, seed=0, length=50)

    assert len(data) >= FEWEST_FITTED
    assert design_of(data).rule != "network"
