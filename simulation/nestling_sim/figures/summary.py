"""Computes summary.json from the receipts in the cloud's store and the devices' own counts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_core.routing.admission import offload_bytes
from nestling_core.wire.choice import best_form
from nestling_core.wire.forms import encodable
from nestling_device.energy.meter import ProfileMeter
from nestling_device.energy.power_tables import load_board, load_link
from nestling_sim.figures.evaluation import Evaluation, same_share
from nestling_sim.figures.follow_ups import follow_up_entry
from nestling_sim.figures.refusals import not_sent
from nestling_sim.fleet.live_run import DeviceRun
from nestling_sim.report.evidence import is_fallback
from nestling_sim.scenario.scenario import Scenario

_RANKS = {"p50": 50, "p95": 95, "p99": 99}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The data of a finished run from which its summary is computed.

    Attributes:
        task: the name of the task.
        seed: the seed of the training and of the devices' streams.
        bundle_version: the version of the bundle that the devices ran.
        manifest: the manifest of that bundle.
        scenario: the devices and their conditions.
        inputs: the number of inputs in all streams.
        recordings: the number of recordings in the task's test data.
        runs: the counts of each device.
        receipts: the receipts of answers that the cloud stored, sorted by device and input index.
        follow_ups: the receipts of follow-ups, sorted in the same way.
        evaluation: the results of every option, in the order of `receipts`.
        routing: how the bundle routes inputs, as returned by `routing_entry`.
        wall_s: a mapping from the name of each stage to its wall time in seconds.
    """

    task: str
    seed: int
    bundle_version: str
    manifest: Manifest
    scenario: Scenario
    inputs: int
    recordings: int
    runs: Sequence[DeviceRun]
    receipts: Sequence[ReceiptRow]
    follow_ups: Sequence[ReceiptRow]
    evaluation: Evaluation
    routing: Mapping[str, Any]
    wall_s: Mapping[str, float]


def summarize(outcome: Outcome) -> dict[str, Any]:
    """Return the content of summary.json, except the entry on federated rounds."""
    receipts, stored = outcome.receipts, [*outcome.receipts, *outcome.follow_ups]
    sent = sum(run.receipts for run in outcome.runs)
    distinct = len({(row.device, row.input_index, row.follows) for row in stored})
    return {
        "task": outcome.task,
        "seed": outcome.seed,
        "bundle_version": outcome.bundle_version,
        "quick": outcome.manifest.quick,
        "devices": len(outcome.runs),
        "inputs": outcome.inputs,
        "recordings": outcome.recordings,
        "sharing_devices": max(0, len(outcome.runs) - outcome.recordings),
        "answered": sum(run.answered for run in outcome.runs),
        "accuracy": same_share(outcome.evaluation),
        "offload_share": float(outcome.evaluation.offloaded.mean()),
        "routes": dict(sorted(Counter(row.route for row in receipts).items())),
        "reasons": dict(sorted(Counter(row.reason for row in receipts).items())),
        "fallbacks": sum(map(is_fallback, receipts)),
        "not_sent": not_sent(receipts),
        "follow_ups": follow_up_entry(receipts, outcome.follow_ups, outcome.evaluation.revised),
        "capacity_switches": _switches(receipts),
        "routing": outcome.routing,
        "energy_mj_per_input": _energy(outcome),
        "latency_ms": _percentiles(receipts, "latency_ms"),
        "latency_provenance": receipts[0].latency_provenance,
        "wall_latency_ms": _percentiles(receipts, "wall_ms"),
        "bytes": {
            "bundle_down_by_device": {run.device_id: run.bundle_bytes for run in outcome.runs},
            "offload_up": sum(row.bytes_up for row in stored),
            "telemetry_up": sum(run.telemetry_bytes for run in outcome.runs),
        },
        "receipts": {
            "sent": sent,
            "stored": len(stored),
            "lost": sent - distinct,
            "duplicate": len(stored) - distinct,
        },
        "capacities": [
            {
                "calibration_accuracy": entry.accuracy,
                "bytes": sum(ring.ring.size for ring in outcome.manifest.capacities[:number]),
                "macs": entry.macs,
            }
            for number, entry in enumerate(outcome.manifest.capacities, start=1)
        ],
        "wall_s": {stage: round(seconds, 2) for stage, seconds in outcome.wall_s.items()},
    }


def _switches(receipts: Sequence[ReceiptRow]) -> int:
    return sum(
        a.device == b.device and a.resident_capacity != b.resident_capacity
        for a, b in pairwise(receipts)
    )


def _energy(outcome: Outcome) -> dict[str, Any]:
    """Return summary.json's entry on the mean energy per input, in millijoules.

    The entry has the total of each policy, the provenance of the run's own figures, and the energy
    of each policy by source (compute and radio). The policies are:

    - `hybrid`: the run itself, according to its receipts, with its follow-ups.
    - `device_only`: every input runs once, on the capacity that was resident.
    - `cloud_only`: every input is sent, as if the cloud had always been available. The throughput
      is taken from the input's budget. If the budget has no link, it is taken from the device's own
      table in the scenario.
    """
    devices = {device.device_id: device for device in outcome.scenario.fleet()}
    meters = {
        name: ProfileMeter(load_board(device.profile), load_link(device.link))
        for name, device in devices.items()
    }
    size = offload_bytes(best_form(outcome.manifest, encodable()))
    capacities = outcome.manifest.capacities
    receipts = outcome.receipts
    compute = [
        meters[row.device].estimate(capacities[row.resident_capacity - 1].macs).energy_mj
        for row in receipts
    ]
    radio = [
        meters[row.device].radio_mj(
            size, Budget(link_mbit_s=row.budget_link_mbit_s or devices[row.device].mbit_s)
        )
        for row in receipts
    ]
    by_source = {
        "device_only": {"compute": float(np.mean(compute)), "radio": 0.0},
        "cloud_only": {"compute": 0.0, "radio": float(np.mean(radio))},
        "hybrid": {
            "compute": float(np.mean([row.energy_compute_mj for row in receipts])),
            "radio": sum(row.energy_radio_mj for row in (*receipts, *outcome.follow_ups))
            / len(receipts),
        },
    }
    totals = {name: sum(sources.values()) for name, sources in by_source.items()}
    provenance = sorted({row.energy_provenance for row in receipts})
    return {**totals, "provenance": ", ".join(provenance), "by_source": by_source}


def _percentiles(receipts: Sequence[ReceiptRow], field: str) -> dict[str, dict[str, float]]:
    routes = sorted({row.route for row in receipts})
    return {
        route: {
            name: float(
                np.percentile([getattr(row, field) for row in receipts if row.route == route], rank)
            )
            for name, rank in _RANKS.items()
        }
        for route in routes
    }
