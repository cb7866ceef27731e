"""Writes what every network of an installed bundle says of some windows.

usage: logits.py STATE WINDOWS.npy COUNT OUT.npz
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from nestling.v1.budget_pb2 import Budget
from nestling_device.delivery.admission import parse_manifest
from nestling_device.delivery.blobs import BlobStore
from nestling_device.machine import activations_of
from nestling_device.multiplexer import Multiplexer
from nestling_device.nest import Nest
from nestling_device.state import State


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
        found[f"capacity {capacity}"] = np.concatenate([nest.run(w[None]) for w in windows])
    multiplexer = Multiplexer(manifest, blobs)
    budget = Budget(memory_bytes=10**7, latency_ms=1000, energy_mj=1000, link_mbit_s=5, battery=1)
    judged = [multiplexer.judge(w, budget) for w in windows]
    found["multiplexer"] = np.stack([one.success for one in judged])
    accepted = [
        multiplexer.acceptance(logits, one.right, held.capacity)
        for logits, one in zip(found[f"capacity {held.capacity}"], judged, strict=True)
    ]
    found["accept head"] = np.array(accepted, np.float32)
    np.savez(out, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
