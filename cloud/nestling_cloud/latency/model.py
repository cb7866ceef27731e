"""How long a network runs that was not measured: a model fitted on probes that were.

Non-negative linear terms of the features, and a small ensemble of trees on what they leave: the
linear part carries on where probes are few, the trees see what is not linear (FastDeepIoT, Yao et
al., SenSys 2018). Both are fitted to relative errors, because a small network's microsecond counts
for more than a large one's.
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
    """A model that cannot be fitted, or is asked for networks that it knows nothing of."""


@dataclass(frozen=True, kw_only=True)
class FitError:
    """Error of predictions for probes that were held out of the fit, relative to what they took.

    Attributes:
        median: median absolute percentage error, as a share of 1.
        p90: 90 in 100 probes are predicted better.
    """

    median: float
    p90: float


class LatencyModel:
    """Predicts the median time of one run, for one family on one machine."""

    def __init__(self, table: LatencyTable) -> None:
        """Fit it; the same table gives the same model, so the table is all that is ever kept.

        Raises:
            LatencyModelError: fewer than `FEWEST_PROBES` probes.
        """
        self._family = table.family
        self._predict = fit_trees(*_data(table))

    def predict(self, signature: Signature, config: StudentConfig, widths: Sequence[int]) -> float:
        """Microseconds of one run at these widths.

        Raises:
            LatencyModelError: the model was fitted on another family.
            SizesError: the family has no student of these widths.
        """
        own = self._family
        if config.blocks != own.config.blocks or signature != own.signature:
            raise LatencyModelError(
                "the latency model was fitted on probes of another student or input; make probes "
                "of this task with nestling-cloud latency probes, and measure them"
            )
        return float(self._predict(features(own, widths)[None])[0])


def load_model(probes: Path, table: Path) -> LatencyModel:
    """Fit a model on a folder of probes and what a machine measured of them.

    Raises:
        ProbesError: no such folder.
        TableError: no such table, or one of other probes.
        LatencyModelError: too few probes.
    """
    return LatencyModel(read_table(table, read_probes(probes)))


def held_out_error(table: LatencyTable, fit: Fit) -> FitError:
    """Error of a way to fit, cross-validated in five folds.

    Raises:
        LatencyModelError: too few probes.
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
    """Fit the model: linear terms of all features, and trees on the ratio that remains."""
    linear = _fit_linear(rows, microseconds)
    trees = GradientBoostingRegressor(
        n_estimators=60, max_depth=2, learning_rate=0.05, subsample=0.7, random_state=0
    ).fit(rows, np.log(microseconds / linear(rows)))
    return lambda asked: linear(asked) * np.exp(trees.predict(asked))


def fit_linear_in_macs(rows: Rows, microseconds: Rows) -> Predict:
    """Fit what is commonly assumed, to compare with: a constant, and so much for each MAC."""
    linear = _fit_linear(rows[:, MACS].sum(1, keepdims=True), microseconds)
    return lambda asked: linear(asked[:, MACS].sum(1, keepdims=True))


def _fit_linear(rows: Rows, microseconds: Rows) -> Predict:
    spread = np.maximum(rows.max(0), 1.0)  # features are of very different sizes
    fitted = LinearRegression(positive=True).fit(
        rows / spread, microseconds, sample_weight=microseconds**-2
    )

    def predict(asked: Rows) -> Rows:
        found: Rows = np.maximum(fitted.predict(asked / spread), _SMALLEST_US)
        return found

    return predict


def _data(table: LatencyTable) -> tuple[Rows, Rows]:
    if len(table.widths) < FEWEST_PROBES:
        raise LatencyModelError(
            f"{len(table.widths)} probes are too few to fit a latency model on; make at least "
            f"{FEWEST_PROBES}, better 80, with nestling-cloud latency probes --count"
        )
    rows = np.array([features(table.family, widths) for widths in table.widths])
    return rows, np.array(table.microseconds)
