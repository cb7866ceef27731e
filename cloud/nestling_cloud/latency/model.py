"""Predicts the latency of networks from the measured latencies of other networks, the probes.

The model multiplies a linear function of the features by a correction factor from a small ensemble
of trees. The linear function, whose coefficients are not negative, extrapolates to networks that
are unlike the probes. The trees correct for nonlinear effects (FastDeepIoT, Yao et al., SenSys
2018). Both parts minimize relative errors, because a microsecond matters more for a fast network
than for a slow one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.errors import CloudError
from nestling_cloud.latency.features import MACS, features
from nestling_cloud.latency.probes import read_probes
from nestling_cloud.latency.table import LatencyTable, read_table
from nestling_core.student.config import StudentConfig

FEWEST_PROBES = 20
_FOLDS = 5
_SMALLEST_US = 1e-3

Rows = NDArray[np.float64]
Predict = Callable[[Rows], Rows]
Fit = Callable[[Rows, Rows], Predict]


class LatencyModelError(CloudError):
    """Raised when a latency model cannot be fitted, or is used for networks of another family."""


@dataclass(frozen=True, kw_only=True)
class FitError:
    """Statistics of the relative errors of predictions for held-out probes.

    A relative error is the absolute difference from the measured latency, divided by that latency.

    Attributes:
        median: the median of the errors, as a fraction of 1.
        p90: the 90th percentile of the errors, as a fraction of 1.
    """

    median: float
    p90: float


class LatencyModel:
    """Predicts the median time of one run for networks of one family on one machine."""

    def __init__(self, table: LatencyTable) -> None:
        """Fit the model to a table of measured latencies.

        Fitting is deterministic, so only the table has to be stored.

        Raises:
            LatencyModelError: there are fewer than `FEWEST_PROBES` probes.
        """
        self._family = table.family
        self._predict = fit_trees(*_data(table))

    def predict(self, signature: Signature, config: StudentConfig, widths: Sequence[int]) -> float:
        """Return the predicted median time of one run, in µs.

        Args:
            signature: the input shape and the classes of the network.
            config: the sizes of the student. Only its blocks and its front end are used.
            widths: the number of channels of each block that has its own width, in order.

        Raises:
            LatencyModelError: the model was fitted to networks of another family.
            SizesError: the family has no student with these widths.
        """
        own = self._family
        fitted = (own.config.blocks, own.config.front_end, own.signature)
        if (config.blocks, config.front_end, signature) != fitted:
            raise LatencyModelError(
                "the latency model was fitted on probes of another student or input; write probes "
                "of this task with nestling-cloud latency probes, and measure them on the device"
            )
        return float(self._predict(features(own, widths)[None])[0])


def load_model(probes: Path, table: Path) -> LatencyModel:
    """Return a latency model that is fitted to the measured latencies of a folder of probes.

    Args:
        probes: the folder written by `write_probes`.
        table: the file written by `nestling-device profile --models`.

    Raises:
        ProbesError: the folder cannot be read.
        TableError: the table cannot be read, or has the latencies of other probes.
        LatencyModelError: there are fewer than `FEWEST_PROBES` probes.
    """
    return LatencyModel(read_table(table, read_probes(probes)))


def held_out_error(table: LatencyTable, fit: Fit) -> FitError:
    """Return the error of one type of latency model on probes to which it was not fitted.

    The error is estimated by five-fold cross-validation with a fixed random split.

    Args:
        table: the measured latencies.
        fit: the function that fits this type of model, `fit_trees` or `fit_linear_in_macs`.

    Raises:
        LatencyModelError: there are fewer than `FEWEST_PROBES` probes.
    """
    rows, microseconds = _data(table)
    order = np.random.default_rng(0).permutation(len(rows))
    errors = np.empty(len(rows))
    for fold in np.array_split(order, _FOLDS):
        rest = np.setdiff1d(order, fold)
        predict = fit(rows[rest], microseconds[rest])
        errors[fold] = np.abs(predict(rows[fold]) / microseconds[fold] - 1)
    median, p90 = np.percentile(errors, [50, 90])
    return FitError(median=float(median), p90=float(p90))


def fit_trees(rows: Rows, microseconds: Rows) -> Predict:
    """Fit a linear function of all features, and trees that predict a correction factor.

    Args:
        rows: the features of each probe, (N, features).
        microseconds: the measured latency of each probe, (N,).

    Returns:
        A function from features (M, features) to latencies (M,) in µs.
    """
    linear = _fit_linear(rows, microseconds)
    trees = GradientBoostingRegressor(
        n_estimators=60, max_depth=2, learning_rate=0.05, subsample=0.7, random_state=0
    ).fit(rows, np.log(microseconds / linear(rows)))
    return lambda inputs: linear(inputs) * np.exp(trees.predict(inputs))


def fit_linear_in_macs(rows: Rows, microseconds: Rows) -> Predict:
    """Fit a constant time plus a fixed time for each multiply-accumulate.

    This simple model is a baseline for comparison.

    Args:
        rows: the features of each probe, (N, features).
        microseconds: the measured latency of each probe, (N,).

    Returns:
        A function from features (M, features) to latencies (M,) in µs.
    """
    linear = _fit_linear(rows[:, MACS].sum(1, keepdims=True), microseconds)
    return lambda inputs: linear(inputs[:, MACS].sum(1, keepdims=True))


def _fit_linear(rows: Rows, microseconds: Rows) -> Predict:
    spread = np.maximum(rows.max(0), 1.0)  # features differ greatly in magnitude
    fitted = LinearRegression(positive=True).fit(
        rows / spread, microseconds, sample_weight=microseconds**-2
    )

    def predict(inputs: Rows) -> Rows:
        latencies: Rows = np.maximum(fitted.predict(inputs / spread), _SMALLEST_US)
        return latencies

    return predict


def _data(table: LatencyTable) -> tuple[Rows, Rows]:
    if len(table.widths) < FEWEST_PROBES:
        raise LatencyModelError(
            f"{len(table.widths)} probes are too few to fit a latency model; write at least "
            f"{FEWEST_PROBES}, better 80, with nestling-cloud latency probes --count"
        )
    rows = np.array([features(table.family, widths) for widths in table.widths])
    return rows, np.array(table.microseconds)
