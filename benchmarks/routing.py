"""Routers on the same students, the same cloud and the same inputs: ours and everybody's.

The models are the learning benchmark's; what is missing of them is trained first and kept.
"""

import sys
import time
from dataclasses import replace

import torch

from contract import parse_arguments, publish, results, seed_range
from learning_cells import Cells
from learning_plan import TASKS
from routing_figures import figures
from routing_found import Found, find
from routing_pictures import PICTURES
from routing_sheets import sheets
from routing_worlds import load_world

_WORDS = """
Each seed has its own teacher, nest, calibration inputs and order. A router, ours or a rival's, is
fitted five times on draws of 60 % of the calibration inputs, which neither teacher nor student
learned from; prices and promises come from the other 40 %; accuracy is of test inputs. Students
are int8, as devices run them. Thresholds, shares that reach an accuracy and the savings that
follow from them are with hindsight, for every router alike, so that they compare how routers rank.
Seed 0 is left out: what routers learn from was settled by looking at its test inputs (lab log);
`fashion` has the same test pictures in every seed.
"""
_SPLITS = 5


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments(__doc__ or "", seeds=2, tasks=TASKS)
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{(time.monotonic() - started) / 60:5.1f} min  {text}", file=sys.stderr, flush=True)

    cells, seeds = Cells(say), [seed + 1 for seed in seed_range(options)]
    found: dict[str, list[Found]] = {}
    for name in TASKS:
        if options.task not in {None, name}:
            continue
        found[name] = []
        for seed in seeds:
            world = load_world(cells, name, seed, quick=options.quick)
            torch.set_num_threads(1)  # the networks are tiny
            say(f"routers of {name}, seed {seed}")
            found[name].append(find(world, 1 if options.quick else _SPLITS))
    publish(
        replace(results("routing", options, figures(found), sheets(found)), seeds=seeds),
        options.json,
        title="Routing",
        words=_WORDS,
        pictures=PICTURES,
    )


if __name__ == "__main__":
    main()
