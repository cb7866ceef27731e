"""Two domains of one task: where labels are, and where the students will run."""

from dataclasses import dataclass

from nestling_cloud.tasks.task import Examples


@dataclass(frozen=True, kw_only=True)
class Domains:
    """What it takes to adapt, and to measure how much that recovers.

    Attributes:
        source: labelled.
        target: of the other domain. Its labels are for the reference that is trained with them;
            who adapts is given the inputs.
        calibration: of the target domain, to choose settings by; of other people or recordings.
        test: of the target domain, and of others again; no step sees it.
    """

    source: Examples
    target: Examples
    calibration: Examples
    test: Examples
