"""Routers on the same students, the same cloud and the same inputs: ours and everybody's.

The models are the learning benchmark's; what is missing of them is trained first and kept.
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import torch

from benchmarks.learning.cells import Cells
from benchmarks.learning.plan import TASKS
from benchmarks.report import parse_arguments, publish, results, seed_range
from benchmarks.routing.charts import PICTURES
from benchmarks.routing.costs import router_cost
from benchmarks.routing.figures import figures
from benchmarks.routing.seed_models import load_world
from benchmarks.routing.seed_result import SeedResult, find
from benchmarks.routing.tables import tables

_NOTE = """
Each seed has its own teacher, nest, calibration inputs and order. A router, ours or a rival's, is
fitted five times on draws of 60 % of the calibration inputs, which neither teacher nor student
learned from; thresholds and guarantees come from the other 40 %; accuracy is of test inputs.
Students are int8, as devices run them. Thresholds, shares that reach an accuracy and the savings
that follow from them are with hindsight, for every router alike, so that they compare how routers
rank. Seed 0 is left out: what routers learn from was settled by looking at its test inputs (lab
log); `fashion` has the same test pictures in every seed.
"""
_SPLITS = 5
_PROCESSES = 2


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "", seeds=2, tasks=TASKS)
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{(time.monotonic() - started) / 60:5.1f} min  {text}", file=sys.stderr, flush=True)

    cells, seeds = Cells(say), [seed + 1 for seed in seed_range(options)]
    tasks = [name for name in TASKS if options.task in {None, name}]
    for name in tasks:  # the models come first: training takes both cores
        for seed in seeds:
            load_world(cells, name, seed, quick=options.quick)
    say("routers")
    began = time.monotonic()
    with ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        pending = {
            name: [pool.submit(_find, name, seed, quick=options.quick) for seed in seeds]
            for name in tasks
        }
        found = {name: [one.result() for one in seeds] for name, seeds in pending.items()}
    costs = {
        name: [router_cost(one.world, one.multiplexer) for one in seeds]
        for name, seeds in found.items()
    }
    minutes = (cells.seconds + time.monotonic() - began) / 60
    made = figures(found, costs, minutes)
    publish(
        replace(results("routing", options, made, tables(found, costs)), seeds=seeds),
        options.json,
        title="Routing",
        note=_NOTE,
        pictures=PICTURES,
    )


def _find(name: str, seed: int, *, quick: bool) -> SeedResult:
    """In a process of its own: routers are small, and one thread fits them best."""
    torch.set_num_threads(1)
    world = load_world(Cells(_silent), name, seed, quick=quick)
    return find(world, 1 if quick else _SPLITS)


def _silent(text: str) -> None:
    del text
