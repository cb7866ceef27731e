from pathlib import Path

import numpy as np
import pytest

from nestling_cloud import cli
from nestling_cloud.latency.family import Family
from nestling_cloud.latency.features import NAMES, features
from nestling_cloud.latency.model import (
    LatencyModel,
    LatencyModelError,
    Predict,
    Rows,
    fit_linear_in_macs,
    fit_trees,
    held_out_error,
    load_model,
)
from nestling_cloud.latency.table import LatencyTable
from nestling_cloud.latency.widths import random_widths
from nestling_cloud.tasks import Signature
from nestling_core.student.config import conv_student
from tests.support.tiny_probes import hand_table, tiny_probes

PICTURE = Signature(shape=[1, 12, 12], classes=["a", "b"])
FAMILY = Family(signature=PICTURE, config=conv_student(channels=(32, 48, 64), strides=(2, 1, 2)))


def made_up_us(widths: tuple[int, ...]) -> float:
    """Return the latency on a machine that computes whole blocks and moves values."""
    named = dict(zip(NAMES, features(FAMILY, widths), strict=True))
    return float(8 + 1e-4 * named["dense_blocked_macs"] + 5e-3 * named["dense_values"])


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    widths = tuple(random_widths(FAMILY.config, 60, np.random.default_rng(0)))
    return LatencyTable(
        machine="made up",
        family=FAMILY,
        widths=widths,
        microseconds=tuple(made_up_us(row) for row in widths),
    )


def test_widths_that_were_not_measured_are_predicted(table: LatencyTable) -> None:
    model = LatencyModel(table)

    for widths in random_widths(FAMILY.config, 12, np.random.default_rng(7))[2:]:
        predicted = model.predict(PICTURE, FAMILY.config, widths)
        assert predicted == pytest.approx(made_up_us(widths), rel=0.1)


def test_same_table_gives_the_same_model(table: LatencyTable) -> None:
    widths = (20, 30, 40)

    first = LatencyModel(table).predict(PICTURE, FAMILY.config, widths)

    assert LatencyModel(table).predict(PICTURE, FAMILY.config, widths) == first


def test_trees_beat_linear_macs_on_nonlinear_latencies(table: LatencyTable) -> None:
    trees = held_out_error(table, fit_trees)
    linear = held_out_error(table, fit_linear_in_macs)

    assert trees.median < 0.5 * linear.median
    assert trees.median <= trees.p90


def test_error_uses_held_out_probes(table: LatencyTable) -> None:
    def remember(rows: Rows, microseconds: Rows) -> Predict:
        known = {row.tobytes(): time for row, time in zip(rows, microseconds, strict=True)}
        return lambda asked: np.array([known.get(row.tobytes(), 0.0) for row in asked])

    # No predicted probe was in the fit, unless two probes happen to be equal.
    assert held_out_error(table, remember).median == 1.0


@pytest.mark.parametrize(
    "other",
    [
        Family(signature=Signature(shape=[1, 9, 9], classes=["a", "b"]), config=FAMILY.config),
        Family(signature=PICTURE, config=conv_student(channels=(32, 48, 64), strides=(1, 1, 2))),
    ],
    ids=["input", "student"],
)
def test_network_of_another_family_is_refused(table: LatencyTable, other: Family) -> None:
    with pytest.raises(LatencyModelError, match="another student or input"):
        LatencyModel(table).predict(other.signature, other.config, (8, 8, 8))


def test_too_few_probes_are_refused(tmp_path: Path) -> None:
    hand_table(tmp_path / "table.json", tiny_probes(tmp_path / "probes"))

    with pytest.raises(LatencyModelError, match="3 probes are too few"):
        load_model(tmp_path / "probes", tmp_path / "table.json")


def test_fit_with_a_missing_table_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_probes(tmp_path / "probes", count=1)
    table = tmp_path / "none.json"

    status = cli.main(
        ["latency", "fit", "--probes", str(tmp_path / "probes"), "--table", str(table)]
    )

    assert status == 1
    assert f"{table}: No such file" in capsys.readouterr().err
