from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Calibration, RoutingCurve, StreamFilter
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_sim.figures.filtered_run import (
    FilteredRun,
    filters_of,
    one_capacity,
    stream_places,
)
from nestling_sim.report import Evidence

# Two streams, of five and three inputs with three classes. The device takes the class of the
# second half of the first stream for another one.
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1])
DEVICE = np.array([0, 0, 2, 2, 2, 1, 1, 1])
PLACES = np.array([[0, 1, 2, 3, 4], [5, 6, 7, -1, -1]], np.intp)
STICKY = StreamFilter(stay=0.95, weight=0.5, doubt=0.05)
FORGETFUL = StreamFilter(weight=1.0, doubt=0.05)
INFINITE = np.full(8, np.inf)


def logits(answers: NDArray[np.int64], odds: float) -> NDArray[np.float32]:
    found = np.zeros((len(answers), 3), np.float32)
    found[np.arange(len(answers)), answers] = odds
    return found


def run(*filters: StreamFilter) -> FilteredRun:
    """A device that is 60 % sure, and a cloud that is right and nearly sure."""
    right = np.tile(np.array([0.6, 0.9], np.float32), (8, 1))
    return FilteredRun(
        filters=filters if len(filters) == 2 else 2 * filters,
        streams=one_capacity(PLACES, logits(DEVICE, 1.0), right, logits(LABELS, 6.0)),
        labels=LABELS,
        cloud=np.ones(8, np.bool_),
    )


def test_without_offloads_a_filter_that_forgets_gives_the_plain_accuracy() -> None:
    assert run(FORGETFUL).device() == np.mean(DEVICE == LABELS)


def test_one_answer_of_the_cloud_corrects_the_inputs_after_it() -> None:
    ranks = INFINITE.copy()
    ranks[2] = 0

    assert run(FORGETFUL).accuracies(ranks, [0, 1]) == [5 / 8, 6 / 8]
    assert run(STICKY).accuracies(ranks, [1]) == [1.0]


def test_every_stream_has_its_own_filter() -> None:
    ranks = INFINITE.copy()
    ranks[2] = 0

    assert run(STICKY, FORGETFUL).accuracies(ranks, [1]) == [1.0]
    assert run(FORGETFUL, STICKY).accuracies(ranks, [1]) == [6 / 8]


def test_inputs_are_sent_by_rank_and_never_without_a_rank() -> None:
    ranks = INFINITE.copy()
    ranks[[0, 2, 3]] = [0, 1, 2]

    assert run(FORGETFUL).accuracies(ranks, [1, 2, 3, 8]) == [5 / 8, 6 / 8, 7 / 8, 7 / 8]


def test_own_rule_runs_from_no_input_to_every_input() -> None:
    none, some, every = run(STICKY).own_accuracies([0, 0.5, 1])

    assert none == run(STICKY).device()
    assert none <= some <= every == 1.0


@pytest.fixture
def receipts(evidence: Evidence) -> list[ReceiptRow]:
    """Three inputs of one device, mostly with capacity 2, and two of another with capacity 1."""
    like = evidence.receipts[0]
    return [
        replace(like, device=device, input_index=index, resident_capacity=capacity)
        for device, index, capacity in (
            ("a", 0, 1),
            ("a", 1, 2),
            ("a", 2, 2),
            ("b", 0, 1),
            ("b", 1, 1),
        )
    ]


def test_every_device_is_a_stream(receipts: list[ReceiptRow]) -> None:
    assert stream_places(receipts).tolist() == [[0, 1, 2], [3, 4, -1]]


def test_device_has_the_filter_of_the_capacity_that_was_mostly_resident(
    receipts: list[ReceiptRow],
) -> None:
    curves = [RoutingCurve(filter=StreamFilter(stay=stay)) for stay in (0.1, 0.2)]

    filters = filters_of(receipts, Calibration(curves=curves))

    assert filters is not None
    assert [one.stay for one in filters] == [0.2, 0.1]


def test_bundle_without_a_filter_has_none(receipts: list[ReceiptRow]) -> None:
    curves = [RoutingCurve(), RoutingCurve()]

    assert filters_of(receipts, Calibration(curves=curves)) is None
