"""Measure the effects of distillation, nesting and quantization on two real tasks.

Most figures are means over several seeds. Finished steps are kept in the user's cache, so a stopped
run continues where it was. Latencies are measured again in every run.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

from benchmarks.learning.cells import Cells
from benchmarks.learning.charts import CHARTS
from benchmarks.learning.figures import figures
from benchmarks.learning.plan import TASKS, plan_of
from benchmarks.learning.seed_result import make_full, run_seed
from benchmarks.learning.speed import measure_latencies
from benchmarks.learning.tables import tables
from benchmarks.report import log_elapsed, parse_arguments, publish
from benchmarks.scenario import run_scenario
from nestling_cloud.temporary_files import temporary_folder

_NOTE = """
Two tasks: `fashion` (Fashion-MNIST, the official test set) and `wearable` (smart-watch windows,
three subjects that neither teacher nor student saw). A seed chooses the split, the weights and the
order of the training data. Recipes were chosen on calibration inputs; `fashion`'s capacities were
widened once, after a look at its test pictures (lab log, 2026-11-24). Each task's teacher and nest
are trained in full, as `nestling-cloud bundle train` does it. The comparisons are smaller. On
`fashion`, the networks trained alone, the distillation variants and the student families learn from
4,000 pictures in batches of 64, the distillation variants with a smaller student. On `wearable`
they learn for fewer epochs; because three people are tested there, a seed's nested and lone
networks are means of three students each. Steps that train with one thread (all but `fashion`'s
full teacher and nest) run for two seeds at a time. `benchmarks/learning/plan.py` has all numbers.
"""
_PROCESSES = 2
# Scenario and task of `make simulate`.
_SIMULATED = "wearable"


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "", seeds=3, tasks=TASKS)
    started = time.monotonic()
    cells = Cells(partial(log_elapsed, started))
    plans = {name: plan_of(name, quick=options.quick) for name in options.tasks}
    for plan in plans.values():
        if plan.takes_all_cores:
            for seed in options.seeds:
                make_full(cells, plan, seed)
    with ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        jobs = [(name, seed) for name in plans for seed in options.seeds]
        share = 1 / min(_PROCESSES, len(jobs))
        pending = [pool.submit(_make, *job, started, share, quick=options.quick) for job in jobs]
        try:
            for cells_made in pending:
                cells_made.result()
        except BaseException:  # leaving the block would otherwise wait for the other jobs
            pool.shutdown(cancel_futures=True)
            raise
    by_task = {
        name: [run_seed(cells, plan, seed) for seed in options.seeds]
        for name, plan in plans.items()
    }
    measuring = time.monotonic()
    latencies = {
        name: measure_latencies(plan.full, by_task[name][0].rounded) for name, plan in plans.items()
    }
    family_latencies = {
        name: {
            family: measure_latencies(task, by_task[name][0].families[family])
            for family, task in plan.families.items()
        }
        for name, plan in plans.items()
    }
    summaries = [_first_run(seed) for seed in options.seeds] if _SIMULATED in plans else []
    minutes = (cells.seconds + time.monotonic() - measuring) / 60
    publish(
        "learning",
        options,
        figures(by_task, latencies, summaries, minutes),
        tables(by_task, latencies, family_latencies),
        title="Learning: distillation, nesting, quantization",
        note=_NOTE,
        charts=CHARTS,
    )


def _make(name: str, seed: int, started: float, share: float, *, quick: bool) -> None:
    """Run all steps of a task and seed whose results are not in the cache.

    The function runs in a separate process, so that two seeds can be trained at the same time, each
    on one thread. Small networks train fastest on one thread.
    """
    run_seed(Cells(partial(log_elapsed, started), share=share), plan_of(name, quick=quick), seed)


def _first_run(seed: int) -> dict[str, Any]:
    """Return the summary of the default scenario, run with an empty cache as a new user runs it."""
    with temporary_folder(".nestling-bench-") as folder:
        return run_scenario(_SIMULATED, seed, folder)
