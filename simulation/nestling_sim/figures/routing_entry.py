"""Describes in words how the bundle of a run routes inputs."""

from dataclasses import asdict
from typing import Any

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.routing_facts import routing_facts, routing_lines
from nestling_sim.figures.model_outputs import released_calibration


def routing_entry(repository: Repository) -> dict[str, Any]:
    """Return summary.json's entry on the routing of the released bundle.

    Args:
        repository: the repository with the bundle.

    Returns:
        The entries of `RoutingFacts`, and under `lines` the same facts as sentences.
    """
    manifest, facts = repository.manifest(), routing_facts(released_calibration(repository))
    accuracies = [entry.accuracy for entry in manifest.capacities]
    return {
        **asdict(facts),
        "routes": [asdict(route) for route in facts.routes],
        "lines": routing_lines(facts, accuracies, manifest.cloud.accuracy),
    }
