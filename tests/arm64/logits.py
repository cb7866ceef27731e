"""Writes what every network of an installed bundle says of some windows.

usage: logits.py STATE WINDOWS.npy COUNT OUT.npz
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from nestling_device.bundle.nest import Nest
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.release_rules import parse_manifest
from nestling_device.hardware.machine import activations_of
from nestling_device.storage.state import State


def main(folder: Path, recording: Path, count: int, out: Path) -> None:
    """Run all that the state folder holds."""
    windows = np.load(recording)[:count]
    blobs = BlobStore(folder / "blobs")
    with State(folder) as state:
        held = state.active()
    assert held is not None
    manifest = parse_manifest(blobs.read(held.manifest))
    # The Pi's folder has the Pi's templates, whichever machine runs them.
    nest = Nest(manifest, blobs, activations_of("aarch64"))
    found: dict[str, Any] = {}
    for capacity in range(1, held.capacity + 1):
        nest.load(capacity)
        said = [nest.run(w[None]) for w in windows]
        found[f"capacity {capacity}"] = np.concatenate([one.logits for one in said])
        found[f"multiplexer {capacity}"] = np.concatenate([one.right for one in said])
    np.savez(out, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
