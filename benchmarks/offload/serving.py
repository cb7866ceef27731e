"""Measures a server of inference: alone, under load, beyond its capacity, and after an outage."""

import asyncio
import threading
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.offload.load import Outcome, ask_alone, ask_at_rate, ask_in_turn
from benchmarks.offload.returning_fleet import ReturnResult, measure_return
from benchmarks.offload.server import serving
from benchmarks.offload.teacher import SHAPE, run_times_ms, teacher_of
from nestling_cloud.cloud_model.model import MAX_BATCH, CloudModel

_TEACHER_MS, _FAST_TEACHER_MS = 10.0, 1.0
_CLIENTS = 64
_OVERLOADS = (0.8, 1.0, 2.0, 4.0)
_DEADLINE_RUNS = 10
_ALONE_CALLS = 300
_SECONDS = 6.0
_FLEET, _INTERVAL_S = 1000, 4.0


@dataclass(frozen=True, kw_only=True)
class ThreadsResult:
    """The results of a server with some threads.

    Attributes:
        threads: the number of runs at the same time.
        bare: the rows per second of a loop over full batches on as many threads, without a server.
        clients: the answers per second that 64 clients get.
        overloads: by the offered load as a part of `bare`, the answers per second within the
            deadline.
        kept: by the offered load, the share of accepted requests that were answered in time.
    """

    threads: int
    bare: float
    clients: float
    overloads: dict[float, float]
    kept: dict[float, float]


@dataclass(frozen=True, kw_only=True)
class ServingResult:
    """All results.

    Attributes:
        alone_ms: the time of a lone client's inference minus that of a bare run and that of a bare
            call, in ms.
        run_ms: the time of a run of the teacher, in ms.
        by_threads: the results with one and with two threads.
        returned: the results of a fleet that returns after an outage.
    """

    alone_ms: float
    run_ms: float
    by_threads: list[ThreadsResult]
    returned: ReturnResult


def measure_serving() -> ServingResult:
    """Return all results."""
    fast, slow = teacher_of(_FAST_TEACHER_MS), teacher_of(_TEACHER_MS)
    model = CloudModel("teacher", slow)
    run_ms = run_times_ms(model, rows=1)
    return ServingResult(
        alone_ms=_alone(fast),
        run_ms=run_ms,
        by_threads=[_with_threads(slow, model, run_ms, threads) for threads in (1, 2)],
        returned=asyncio.run(
            measure_return(fast, threads=1, clients=_FLEET, interval_s=_INTERVAL_S)
        ),
    )


def _alone(onnx: bytes) -> float:
    bare_ms = run_times_ms(CloudModel("teacher", onnx), rows=1)
    with serving(onnx, threads=1) as port:
        served_ms, call_ms = asyncio.run(ask_alone(port, _ALONE_CALLS))
    return served_ms - bare_ms - call_ms


def _with_threads(onnx: bytes, model: CloudModel, run_ms: float, threads: int) -> ThreadsResult:
    bare, deadline_s = _bare_loop(model, threads), _DEADLINE_RUNS * run_ms / 1e3
    with serving(onnx, threads=threads) as port:
        clients = asyncio.run(ask_in_turn(port, _CLIENTS, _SECONDS))
        outcomes: dict[float, Outcome] = {
            load: asyncio.run(ask_at_rate(port, load * bare, _SECONDS, deadline_s))
            for load in _OVERLOADS
        }
    return ThreadsResult(
        threads=threads,
        bare=bare,
        clients=clients.per_second,
        overloads={load: outcome.per_second for load, outcome in outcomes.items()},
        kept={load: outcome.kept_promises for load, outcome in outcomes.items()},
    )


def _bare_loop(model: CloudModel, threads: int) -> float:
    """Return the rows per second of a loop over full batches in each thread."""
    rows, end_s = np.zeros((MAX_BATCH, *SHAPE), np.float32), time.perf_counter() + _SECONDS
    done: list[int] = []

    def loop() -> None:
        while time.perf_counter() < end_s:
            model.run(rows)
            done.append(MAX_BATCH)

    loops = [threading.Thread(target=loop) for _ in range(threads)]
    started_s = time.perf_counter()
    for one in loops:
        one.start()
    for one in loops:
        one.join()
    return sum(done) / (time.perf_counter() - started_s)
