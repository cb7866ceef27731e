"""Builds the table of the loaded versions of the teacher, with their requests and times."""

from collections.abc import Sequence

from nestling_cloud.console.data.table import Column, Table
from nestling_cloud.console.data.units import latency, number
from nestling_cloud.serving.served_models import ServedModel

_COLUMNS = (
    Column(key="version", label="version"),
    Column(key="answered", label="answered requests"),
    Column(key="refused", label="refused"),
    Column(key="late", label="too late"),
    Column(key="failed", label="failed"),
    Column(key="batch", label="inputs in a run"),
    Column(key="run", label="mean run"),
    Column(key="wait", label="mean wait"),
)
_NOTHING = "-"


def serving_table(models: Sequence[ServedModel]) -> Table:
    """Build a table with a row for each loaded version, the newest first.

    Args:
        models: the loaded versions, the newest last.
    """
    return Table(columns=_COLUMNS, rows=tuple(_row(model) for model in reversed(models)))


def _row(model: ServedModel) -> tuple[str, ...]:
    done = model.batcher.statistics
    return (
        model.version,
        *(number(count) for count in (done.answered, done.refused, done.late, done.failed)),
        f"{done.rows / done.runs:.1f}" if done.runs else _NOTHING,
        latency(1e3 * done.run_s / done.runs) if done.runs else _NOTHING,
        latency(1e3 * done.wait_s / done.answered) if done.answered else _NOTHING,
    )
