"""Defines the data for adapting a student to another domain."""

from dataclasses import dataclass

from nestling_cloud.tasks.task import Examples


@dataclass(frozen=True, kw_only=True)
class Domains:
    """The data for adapting a student to another domain and for measuring the result.

    The source domain has labels. The target domain is where the student will run. The three parts
    of the target domain share no people or recordings.

    Attributes:
        source: labeled examples of the source domain.
        target: labeled examples of the target domain. Adaptation sees only the inputs; the labels
            are for training a reference student to compare the adapted student with.
        calibration: labeled examples of the target domain for choosing settings.
        test: labeled examples of the target domain that no training step sees.
    """

    source: Examples
    target: Examples
    calibration: Examples
    test: Examples
