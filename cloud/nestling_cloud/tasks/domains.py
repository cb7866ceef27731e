"""Data of two domains of one task: one with labels, and one where the student will run."""

from dataclasses import dataclass

from nestling_cloud.tasks.task import Examples


@dataclass(frozen=True, kw_only=True)
class Domains:
    """Data for adapting a student to another domain and measuring how much accuracy that recovers.

    The three target-domain parts share no people or recordings.

    Attributes:
        source: labeled examples of the source domain.
        target: examples of the target domain. Adaptation sees only their inputs; the labels are for
            training a reference to compare with.
        calibration: examples of the target domain for choosing settings.
        test: examples of the target domain that no training step sees.
    """

    source: Examples
    target: Examples
    calibration: Examples
    test: Examples
