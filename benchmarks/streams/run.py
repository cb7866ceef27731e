"""Measure the stream filter: on people's recordings, on pictures, and with few calibration inputs.

The subject splits begin with seed 8, because the filter was designed on seeds 0 to 7. Missing
models are trained first. Models and results are kept in the user's cache, so a stopped run
resumes where it left off.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial

import torch

from benchmarks.learning.cells import Cell, Cells, Content
from benchmarks.report import log_elapsed, parse_arguments, publish
from benchmarks.routing.seed_models import load_models
from benchmarks.streams.charts import CHARTS
from benchmarks.streams.figures import figures
from benchmarks.streams.picture_result import PictureResult, measure_pictures
from benchmarks.streams.pictures import picture_models
from benchmarks.streams.split_result import SplitResult, measure_split
from benchmarks.streams.step_cost import CLASSES, measure_step
from benchmarks.streams.tables import tables

_NOTE = """
`wearable`: windows of a watch, in the recorded order of ten people. Each seed is one split of the
people (5 for training, 2 for calibration, 3 for the test) with a teacher and a nest of its own. The
filter was designed on seeds 0 to 7, which are left out. Everything is fitted on the calibration
people's recordings, as `nestling-cloud bundle train` does it; every accuracy is that of the test
people, whose recordings are dealt to nine devices as the simulator deals them; it is the mean over
three deals. Students are int8, as devices run them.

At a share, every router (ours and its rivals) has the threshold that sends exactly that share of
the test inputs, which is chosen with hindsight. Rivals are shown plain and behind the same filter,
and the cloud alone plain and behind a filter of its own. The target, by contrast, is kept by a
device's own classes, with thresholds from calibration.

`fashion` (the first seed only): pictures, answered by small models that learned from 6,000 of them.
Independent pictures come in random order. The stream with bursts is made: runs of one class
(geometric, 20 pictures on average) and bursts of noise (standard deviation 0.4; geometric, 15
pictures, 60 apart).
"""
_PROCESSES = 2
_PICTURE_SEEDS = 1
_MODULES = (
    *(
        f"benchmarks.streams.{name}"
        for name in (
            *("curves", "device_run", "few_inputs", "fitted", "look_ahead", "picture_result"),
            *("pictures", "recordings", "skipping", "split_result", "variants"),
        )
    ),
    "benchmarks.routing.curves",
    "nestling_cloud.learning.loop",
    "nestling_cloud.learning.routing",
    "nestling_cloud.models.multiplexer",
    "nestling_cloud.models.plain_confidence",
    "nestling_core.belief",
    "nestling_core.routing.curve",
    "nestling_device.inference.policy",
    "nestling_device.inference.stream_belief",
    "nestling_device.inference.target_controller",
    "nestling_sim.figures.cloud_alone",
    "nestling_sim.figures.filtered_run",
)

# Entry of a job's result: the seconds that its models and its results took.
_TIME = "time"


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "", seeds=8, first_seed=8)
    started = time.monotonic()
    with ProcessPoolExecutor(_PROCESSES, multiprocessing.get_context("spawn")) as pool:
        picture_jobs = [
            pool.submit(_run_pictures, seed, started) for seed in options.seeds[:_PICTURE_SEEDS]
        ]
        split_jobs = [pool.submit(_run_split, seed, started) for seed in options.seeds]
        try:
            splits = [SplitResult.of(job.result()) for job in split_jobs]
            pictures = [PictureResult.of(job.result()) for job in picture_jobs]
        except BaseException:  # leaving the block would otherwise wait for the other jobs
            pool.shutdown(cancel_futures=True)
            raise
    measuring = time.monotonic()
    costs = {classes: measure_step(classes) for classes in CLASSES}
    jobs = [*split_jobs, *picture_jobs]
    minutes = (sum(job.result()[_TIME] for job in jobs) + time.monotonic() - measuring) / 60
    publish(
        "streams",
        options,
        figures(splits, pictures, costs, minutes),
        tables(splits, pictures),
        title="Streams",
        note=_NOTE,
        charts=CHARTS,
    )


def _run_split(seed: int, started: float) -> Content:
    """Return the results of one split, in the form that `SplitResult.of` reads.

    Args:
        seed: the seed of the split.
        started: the time of the benchmark's start.
    """
    cells = _cells(started)
    models = load_models(cells, "wearable", seed, quick=False)
    cell = Cell(
        name="streams",
        parameters={"seed": seed, "macs": models.macs},
        modules=_MODULES,
        parents=[models.answers],
    )

    def measure() -> Content:
        torch.set_num_threads(1)
        return asdict(measure_split(models))

    content = cells.load_or_make(cell, measure)
    return {**content, _TIME: cells.seconds}


def _run_pictures(seed: int, started: float) -> Content:
    """Return the results of one seed on pictures, in the form that `PictureResult.of` reads.

    Args:
        seed: the seed of data, models and streams.
        started: the time of the benchmark's start.
    """
    cells = _cells(started)
    models = picture_models(cells, seed)
    cell = Cell(
        name="streams of pictures",
        parameters={"seed": seed},
        modules=_MODULES,
        parents=[models.answers],
    )

    def measure() -> Content:
        torch.set_num_threads(1)
        return asdict(measure_pictures(models, seed))

    content = cells.load_or_make(cell, measure)
    return {**content, _TIME: cells.seconds}


def _cells(started: float) -> Cells:
    """Open the cache of finished steps in one of two processes, each of which uses one core."""
    torch.set_num_threads(1)
    return Cells(partial(log_elapsed, started), share=1 / _PROCESSES)
