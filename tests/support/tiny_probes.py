"""Probes of the tiny task, and tables of made-up measurements of them."""

import json
from pathlib import Path

from nestling_cloud.latency.family import Family
from nestling_cloud.latency.probes import Probes, write_probes
from nestling_cloud.progress import SilentProgress
from nestling_core.nest.bundle_files import Activations
from tests.support.tiny_task import TINY_TASK

TINY_FAMILY = Family(signature=TINY_TASK.signature, config=TINY_TASK.student)


def tiny_probes(
    folder: Path, *, count: int = 3, seed: int = 0, activations: Activations = "uint8"
) -> Probes:
    """Write a few probes of the tiny task's student.

    Args:
        folder: folder for the probes.
        count: number of probes.
        seed: seed of their widths.
        activations: integer type of their activations.
    """
    return write_probes(
        folder,
        TINY_FAMILY,
        count=count,
        seed=seed,
        progress=SilentProgress(),
        activations=activations,
    )


def hand_table(path: Path, probes: Probes, latency_ms: float = 0.5) -> dict[str, dict[str, object]]:
    """Write a table in which every probe has the same latency, and return its models.

    Args:
        path: file of the table.
        probes: the probes.
        latency_ms: latency of every probe.
    """
    models: dict[str, dict[str, object]] = {
        probe.model: {"latency_ms": latency_ms, "sha256": probe.sha256} for probe in probes.probes
    }
    path.write_text(json.dumps({"format": 1, "machine": "a Pi", "models": models}))
    return models
