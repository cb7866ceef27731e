"""Takes the wearable bundle from the cache, or trains it, and writes windows of new people.

usage: prepare.py COUNT WINDOWS.npy; prints the folder of the released bundle
"""

import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from nestling_cloud.bundles.cache import trained_repository
from nestling_cloud.progress import ConsoleProgress
from nestling_cloud.tasks.wearable import TASK

_SEED = 0


def main(count: int, out: Path) -> None:
    """Prepare both."""
    splits = TASK.load_checked(None, _SEED)
    progress = ConsoleProgress(Console(stderr=True))
    trained = trained_repository(TASK, splits, seed=_SEED, progress=progress)
    windows = np.concatenate([recording.inputs for recording in splits.test])
    picked = np.linspace(0, len(windows) - 1, count).astype(int)
    np.save(out, windows[picked])
    print(trained)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
