"""Measures every ONNX model in a folder on this machine, without a bundle."""

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
    Report,
    Run,
    active_watts,
    cost_of,
    idle_watts,
    metered,
)

_FORMAT = 1
_ROUNDS = 10


class ModelsError(DeviceError):
    """Raised when a folder does not exist or has no models, or when a model cannot be run."""


@dataclass(frozen=True, kw_only=True)
class ModelCost(NetworkCost):
    """The measured cost of one run of a model.

    Attributes:
        sha256: the SHA-256 digest of the model file.
    """

    sha256: str


@dataclass(frozen=True, kw_only=True)
class ModelCosts:
    """The costs of several models that were measured in turns on one machine.

    Attributes:
        machine: the name of the machine.
        taken_at: the time of the measurement in UTC, in ISO 8601 form.
        meter: the kind of meter, as in the configuration.
        idle_w: the mean power of the machine while no model ran, in watts, or None if it was not
            measured.
        active_w: the mean power that running the models added, in watts, or None if it was not
            measured.
        models: a mapping from the path of each model within the folder to the model's costs.
    """

    machine: str
    taken_at: str
    meter: str
    idle_w: float | None
    active_w: float | None
    models: Mapping[str, ModelCost]

    def to_json(self) -> str:
        """Return the costs as JSON text."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"


def profile_models(folder: Path, conditions: Conditions, report: Report) -> ModelCosts:
    """Return the measured costs of every model in a folder.

    The models run in turns, on random inputs. A model is opened for its turn and released after it,
    so that only one model is loaded at a time. Dynamic axes get length 1.

    Args:
        folder: the folder whose `*.onnx` files are measured, including those in subfolders.
        conditions: the machine, the instrument and the duration of the measurement. `seconds` is
            the total time of each model in all rounds.
        report: a function that is called with a description of each measurement before it begins.

    Raises:
        ModelsError: the folder does not exist, it has no model, or a model cannot be run.
    """
    paths = _paths(folder)
    idle_w = idle_watts(conditions, report)
    rounds = _rounds(conditions)
    report(f"{len(paths)} models, {rounds} rounds")
    runs: list[list[Run]] = [[] for _ in paths]
    networks = [partial(_opened, path) for path in paths]
    for place, stretch in in_turns(networks, seconds=conditions.seconds, rounds=rounds):
        runs[place].append(metered(stretch, conditions.sampler))
    joined = [_joined(turns) for turns in runs]
    return ModelCosts(
        machine=conditions.machine,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        meter=conditions.meter,
        idle_w=idle_w,
        active_w=active_watts(joined, idle_w),
        models={
            str(path.relative_to(folder)): ModelCost(
                **asdict(cost_of(run, idle_w, conditions)),
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path, run in zip(paths, joined, strict=True)
        },
    )


def _paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ModelsError(f"{folder} is not a folder", advice="name one that contains .onnx files")
    paths = sorted(folder.rglob("*.onnx"))
    if not paths:
        raise ModelsError(
            f"{folder} has no .onnx file", advice="nestling-cloud latency probes can write some"
        )
    return paths


def _rounds(conditions: Conditions) -> int:
    """Return the number of rounds, which is at most 10.

    With an instrument, there are fewer rounds if a turn would otherwise be too short to contain
    enough readings.
    """
    if conditions.sampler is None:
        return _ROUNDS
    return min(_ROUNDS, max(1, int(conditions.seconds / conditions.sampler.shortest_s)))


def _opened(path: Path) -> Network:
    """Open a model, run it once as a check, and return the function that runs it."""
    try:
        network = on_random_inputs(open_session(path))
        network(0)
    except SessionError as err:
        raise ModelsError(f"{path} is not a model that onnxruntime can open: {err}") from err
    except Exception as err:  # onnxruntime raises a dozen classes without another common base
        raise ModelsError(f"{path} cannot run on random inputs: {err}") from err
    return network


def _joined(turns: Sequence[Run]) -> Run:
    """Return the combined measurements of a model's turns.

    If some turns have instrument readings, the energy, the total time and the number of runs are
    from these turns only. The memory is the smallest of all turns.
    """
    metered_turns = [turn for turn in turns if turn.joules is not None] or turns
    joules = [turn.joules for turn in metered_turns if turn.joules is not None]
    return Run(
        times_ms=np.concatenate([turn.times_ms for turn in turns]),
        runs=sum(turn.runs for turn in metered_turns),
        wall_s=sum(turn.wall_s for turn in metered_turns),
        joules=sum(joules) if joules else None,
        # The minimum leaves out memory that other models left behind.
        resident_bytes=min(turn.resident_bytes for turn in turns),
    )
