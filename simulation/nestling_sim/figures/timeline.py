"""Selects the device whose answers the report shows over time."""

from collections import Counter
from itertools import islice

from nestling_sim.figures.finished_run import FinishedRun
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
    labels = finished.fleet.streams[device].labels.tolist()
    rows = (row for row in finished.receipts if row.device == device)
    return Timeline(
        device=device,
        classes=list(finished.manifest.signature.classes),
        moments=[
            Moment(receipt=row, truth=labels[row.input_index]) for row in islice(rows, MOST_MOMENTS)
        ],
    )
