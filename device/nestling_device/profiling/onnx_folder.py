"""Measures every ONNX model of a folder on this machine: no bundle is needed for it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from nestling_core.execution.session import SessionError, open_session
from nestling_core.execution.timing import Network, in_turns, on_random_inputs
from nestling_device.energy.measured_costs import NetworkCost
from nestling_device.errors import DeviceError
from nestling_device.profiling.bundle import (
    Conditions,
    Run,
    Say,
    active_watts,
    cost_of,
    idle_watts,
    metered,
)

_FORMAT = 1
_ROUNDS = 10


class ModelsError(DeviceError):
    """A folder of models that cannot be measured."""


@dataclass(frozen=True, kw_only=True)
class ModelCost(NetworkCost):
    """What one run of a model took here.

    Attributes:
        sha256: of the model's file.
    """

    sha256: str


@dataclass(frozen=True, kw_only=True)
class ModelCosts:
    """A table of models, measured in turns on one machine.

    Attributes:
        machine: where.
        taken_at: ISO 8601, UTC.
        meter: kind of the meter.
        idle_w: power while nothing ran; None without an instrument.
        active_w: what running networks added to it; None without an instrument.
        models: by path within the folder.
    """

    machine: str
    taken_at: str
    meter: str
    idle_w: float | None
    active_w: float | None
    models: Mapping[str, ModelCost]

    def to_json(self) -> str:
        """Write the table's text."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"


def profile_models(folder: Path, conditions: Conditions, say: Say) -> ModelCosts:
    """Run every model of a folder over and over, in turns, on random inputs.

    A model is opened for its turn and let go after it, so its memory is that of a process which
    holds this one alone. Axes of no fixed length are 1.

    Args:
        folder: its files `*.onnx` are measured, those of folders in it too.
        conditions: of the measurement; its seconds are a model's share of all rounds.
        say: told what is being measured.

    Raises:
        ModelsError: no such folder, no model in it, or one that cannot be run.
    """
    paths = _paths(folder)
    idle_w = idle_watts(conditions, say)
    rounds = _rounds(conditions)
    say(f"{len(paths)} models, {rounds} rounds")
    runs: list[list[Run]] = [[] for _ in paths]
    networks = [partial(_opened, path) for path in paths]
    for place, stretch in in_turns(networks, seconds=conditions.seconds, rounds=rounds):
        runs[place].append(metered(stretch, conditions.sampler))
    told = [_joined(turns) for turns in runs]
    return ModelCosts(
        machine=conditions.machine,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        meter=conditions.meter,
        idle_w=idle_w,
        active_w=active_watts(told, idle_w),
        models={
            str(path.relative_to(folder)): ModelCost(
                **asdict(cost_of(run, idle_w, conditions)),
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path, run in zip(paths, told, strict=True)
        },
    )


def _paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ModelsError(f"{folder} is no folder; name one with .onnx files in it")
    paths = sorted(folder.rglob("*.onnx"))
    if not paths:
        raise ModelsError(f"{folder} has no .onnx file; nestling-cloud latency probes writes some")
    return paths


def _rounds(conditions: Conditions) -> int:
    """As many as leave every turn long enough for the instrument."""
    if conditions.sampler is None:
        return _ROUNDS
    return min(_ROUNDS, max(1, int(conditions.seconds / conditions.sampler.shortest_s)))


def _opened(path: Path) -> Network:
    """Open a model, run it once, and give what runs it."""
    try:
        network = on_random_inputs(open_session(path))
        network(0)
    except SessionError as err:
        raise ModelsError(f"{path} is no model that onnxruntime opens: {err}") from err
    except Exception as err:  # onnxruntime has a dozen classes here that share no other base
        raise ModelsError(f"{path} does not run on random inputs: {err}") from err
    return network


def _joined(turns: Sequence[Run]) -> Run:
    """All turns of a model; those count for energy in which the instrument told it."""
    counted = [turn for turn in turns if turn.joules is not None] or turns
    joules = [turn.joules for turn in counted if turn.joules is not None]
    return Run(
        times_ms=np.concatenate([turn.times_ms for turn in turns]),
        runs=sum(turn.runs for turn in counted),
        wall_s=sum(turn.wall_s for turn in counted),
        joules=sum(joules) if joules else None,
        # What models before it left behind is not its own.
        resident_bytes=min(turn.resident_bytes for turn in turns),
    )
