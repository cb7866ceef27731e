"""Selects the device whose answers the report shows over time."""

from collections import Counter
from itertools import islice

from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_core.kinds.kind import Answers, Kind
from nestling_core.kinds.of_signature import kind_of
from nestling_sim.figures.finished_run import FinishedRun
from nestling_sim.figures.follow_ups import answer_in
from nestling_sim.report.evidence import CLOUD, Moment, Timeline, in_natural_order

MOST_MOMENTS = 300  # more inputs would be too narrow to tell apart


def timeline(finished: FinishedRun) -> Timeline | None:
    """Return the first inputs of the device that the cloud answered most often.

    Of several such devices, the first in natural order of the ids is taken.

    Returns:
        The timeline, or None if the cloud answered no input.
    """
    sent = Counter(row.device for row in finished.receipts if row.route == CLOUD)
    if not sent:
        return None
    most = max(sent.values())
    device = in_natural_order(name for name, count in sent.items() if count == most)[0]
    kind = kind_of(finished.manifest.signature)
    labels = finished.fleet.streams[device].labels
    rows = (row for row in finished.receipts if row.device == device)
    return Timeline(
        device=device,
        moments=[
            _moment(kind, row, labels[row.input_index : row.input_index + 1])
            for row in islice(rows, MOST_MOMENTS)
        ],
    )


def _moment(kind: Kind, row: ReceiptRow, truth: Answers) -> Moment:
    answer = answer_in(row)
    right = bool(kind.success(kind.unpacked([answer]), truth)[0])
    return Moment(
        receipt=row, truth=kind.truth_text(truth), answer=kind.text(answer), is_right=right
    )
