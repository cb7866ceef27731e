"""Measure how well our router and its rivals choose the inputs that are sent to the cloud.

All routers use the same students, cloud and inputs. Missing models are trained first and cached.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import torch

from benchmarks.learning.cells import Cells
from benchmarks.learning.plan import TASKS
from benchmarks.report import log_elapsed, parse_arguments, publish
from benchmarks.routing.charts import CHARTS
from benchmarks.routing.costs import router_cost
from benchmarks.routing.figures import figures
from benchmarks.routing.seed_models import load_models
from benchmarks.routing.seed_result import SeedResult, run_seed
from benchmarks.routing.tables import tables

_NOTE = """
Each seed has its own teacher, nest, calibration inputs and order. A router, ours or a rival's, is
fitted five times on draws of 60 % of the calibration inputs, from which neither teacher nor student
learned; thresholds come from the other 40 %; accuracy is that of test inputs.
Students are int8, as devices run them. Thresholds, shares that reach an accuracy and the savings
that follow from them are chosen with hindsight, for every router alike, so that they compare how
routers rank inputs. Seed 0 is left out: the routers' training targets were chosen by looking at its
test inputs (lab log). `fashion` has the same test pictures in every seed, and small models that
learned from 6,000 pictures. *Nestling* is the rule that a bundle would ship: plain confidence,
unless a network proves better on the fitted inputs. Inputs are judged one by one, without the
stream filter ([streams.md](streams.md)).
"""
_DRAWS = 5
_PROCESSES = 2


def main() -> None:
    """Run the benchmark."""
    # Seed 0 served to choose the routers' training targets.
    options = parse_arguments(__doc__ or "", seeds=2, first_seed=1, tasks=TASKS)
    log = partial(log_elapsed, time.monotonic())
    cells = Cells(log)
    for name in options.tasks:  # before the routers: training takes both cores
        for seed in options.seeds:
            load_models(cells, name, seed, quick=options.quick)
    log("routers")
    routing = time.monotonic()
    with ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        pending = {
            name: [
                pool.submit(_run_seed, name, seed, quick=options.quick) for seed in options.seeds
            ]
            for name in options.tasks
        }
        by_task = {name: [job.result() for job in jobs] for name, jobs in pending.items()}
    costs = {
        name: [router_cost(result.models, result.multiplexer) for result in results]
        for name, results in by_task.items()
    }
    minutes = (cells.seconds + time.monotonic() - routing) / 60
    publish(
        "routing",
        options,
        figures(by_task, costs, minutes),
        tables(by_task, costs),
        title="Routing",
        note=_NOTE,
        charts=CHARTS,
    )


def _run_seed(name: str, seed: int, *, quick: bool) -> SeedResult:
    """Return the results of one seed, computed on one thread.

    The function runs in a separate process. Routers are so small that they are fastest on one
    thread.
    """
    torch.set_num_threads(1)
    models = load_models(Cells(_discard), name, seed, quick=quick)
    return run_seed(models, 1 if quick else _DRAWS)


def _discard(text: str) -> None:
    del text
