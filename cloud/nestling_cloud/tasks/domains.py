"""Defines the data for adapting a student to another domain."""

from dataclasses import dataclass

from nestling_cloud.tasks.examples import Examples


@dataclass(frozen=True, kw_only=True)
class Domains:
    """The data for adapting a student to another domain and for measuring the result.

    The source domain has labels, and the student will run in the target domain. The three parts of
    the target domain share no person and no recording.

    Attributes:
        source: labeled examples of the source domain.
        target: labeled examples of the target domain. Adaptation sees only the inputs. The labels
            are for training a reference student, with which the adapted student is compared.
        calibration: labeled examples of the target domain for choosing settings.
        test: labeled examples of the target domain that no training step sees.
    """

    source: Examples
    target: Examples
    calibration: Examples
    test: Examples
