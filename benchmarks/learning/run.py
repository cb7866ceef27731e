"""Distillation, nesting and quantisation on two real tasks, over several seeds.

Every finished piece is kept in the user's cache, so a run that was stopped goes on where it was;
latencies are measured again each time.
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks.learning.cells import Cells
from benchmarks.learning.charts import PICTURES
from benchmarks.learning.figures import figures
from benchmarks.learning.first_run import SIMULATED, simulate
from benchmarks.learning.plan import TASKS, plan_of
from benchmarks.learning.seed_result import find, make_full
from benchmarks.learning.speed import speeds
from benchmarks.learning.tables import tables
from benchmarks.report import parse_arguments, publish, results, seed_range

_NOTE = """
Two tasks: `fashion` (Fashion-MNIST, the official test set) and `wearable` (smart-watch windows,
three subjects that neither teacher nor student saw). A seed chooses the split, the weights and the
order. Recipes were chosen on calibration inputs; `fashion`'s capacities were widened once, after a
look at its test pictures (lab log, 2026-11-24). Each task's teacher is trained in full and its nest
is distilled in full, as `nestling-cloud bundle train` does it. The comparisons are smaller: the
networks that are trained alone, the ways to distil and the families of students learn on `fashion`
from 4,000 pictures in batches of 64, the ways to distil with a smaller student, and on `wearable`
for fewer epochs. There, where three people are tested, a seed's nested and lone networks are means
of three students each. What learns with one thread (all but `fashion`'s teacher and nest in full)
is made for two seeds at a time. `benchmarks/learning/plan.py` has every number of it.
"""
_PROCESSES = 2


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "", seeds=3, tasks=TASKS)
    started = time.monotonic()
    cells = Cells(partial(_say, started))
    plans = {
        name: plan_of(name, quick=options.quick) for name in TASKS if options.task in {None, name}
    }
    for plan in plans.values():
        if plan.takes_all_cores:
            for seed in seed_range(options):
                make_full(cells, plan, seed)
    with ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        jobs = [(name, seed) for name in plans for seed in seed_range(options)]
        share = 1 / min(_PROCESSES, len(jobs))
        pending = [pool.submit(_make, *job, started, share, quick=options.quick) for job in jobs]
        try:
            for one in pending:
                one.result()
        except BaseException:  # the others would only be waited for
            pool.shutdown(cancel_futures=True)
            raise
    found = {
        name: [find(cells, plan, seed) for seed in seed_range(options)]
        for name, plan in plans.items()
    }
    made = time.monotonic()
    timed = {name: speeds(plan.full, found[name][0].rounded) for name, plan in plans.items()}
    families = {
        name: {
            family: speeds(task, found[name][0].families[family])
            for family, task in plan.families.items()
        }
        for name, plan in plans.items()
    }
    simulated = [simulate(seed) for seed in seed_range(options)] if SIMULATED in plans else []
    minutes = (cells.seconds + time.monotonic() - made) / 60
    publish(
        results(
            "learning",
            options,
            figures(found, timed, simulated, minutes),
            tables(found, timed, families),
        ),
        options.json,
        title="Learning: distilled, nested, rounded",
        note=_NOTE,
        pictures=PICTURES,
    )


def _make(name: str, seed: int, started: float, share: float, *, quick: bool) -> None:
    """In a process of its own: small networks learn best with one thread."""
    find(Cells(partial(_say, started), share=share), plan_of(name, quick=quick), seed)


def _say(started: float, text: str) -> None:
    print(f"{(time.monotonic() - started) / 60:5.1f} min  {text}", file=sys.stderr, flush=True)
