"""Evidence of a run with nine devices, an outage and reduced memory."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_sim.figures.follow_ups import follow_up_entry
from nestling_sim.figures.refusals import not_sent
from nestling_sim.report import Evidence
from nestling_sim.report.evidence import Moment, Timeline

_DEVICES = {
    f"{profile}-{n}": capacity
    for profile, capacity in (("pi-zero-2w", 2), ("pi-4b", 3), ("pi-5", 4))
    for n in (1, 2, 3)
}
_INPUTS = 120
_OUTAGE = range(54, 72)


@pytest.fixture
def evidence() -> Evidence:
    rng = np.random.default_rng(3)
    rows = [
        _row(device, index, capacity, hard=bool(rng.random() < 0.17))
        for device, capacity in _DEVICES.items()
        for index in range(_INPUTS)
    ]
    rng.shuffle(rows)
    return Evidence(
        summary=_summary(rows),
        receipts=rows,
        curves=_curves(),
        outages=dict.fromkeys(_DEVICES, (_OUTAGE,)),
        timeline=_timeline([row for row in rows if row.device == "pi-5-1"]),
    )


def _timeline(rows: list[ReceiptRow]) -> Timeline:
    return Timeline(
        device="pi-5-1",
        moments=[
            Moment(
                receipt=replace(row, device_confidence=0.6),
                truth=f"exercise {row.input_index // 30}",
                answer=f"exercise {row.answer}",
                is_right=row.answer == row.input_index // 30,
            )
            for row in sorted(rows, key=lambda row: row.input_index)
        ],
    )


def _row(device: str, index: int, capacity: int, *, hard: bool) -> ReceiptRow:
    resident = 1 if device.startswith("pi-5") and 24 <= index < 60 else capacity
    route, reason = f"capacity-{resident - (index % 20 == 7 and resident > 1)}", "accepted"
    if hard and index in _OUTAGE:
        reason = "unreachable"
    elif hard:
        route, reason = "cloud", "escalated"
    return ReceiptRow(
        device=device,
        outbox_id="0" * 32,
        sequence=index + 1,
        input_index=index,
        answered_at_ms=1_700_000_000_000 + index,
        bundle_version="wearable-1-0f3a9c21",
        route=route,
        reason=reason,
        answer=index % 7,
        device_answer=index % 7,
        resident_capacity=resident,
        latency_ms=12.5,
        latency_provenance="modelled",
        wall_ms=1.5,
        energy_compute_mj=21.0,
        energy_compute_provenance="modelled",
        energy_radio_mj=14.0 if route == "cloud" else 0.0,
        energy_radio_provenance="modelled" if route == "cloud" else "none",
        energy_provenance="modelled",
        bytes_up=2400 if route == "cloud" else 0,
        bytes_down=120 if route == "cloud" else 0,
        budget_memory_bytes=40_000,
        budget_latency_ms=1500.0,
        budget_energy_mj=2000.0,
        budget_link_mbit_s=5.0,
        budget_link_rtt_ms=20.0,
        budget_battery=1.0,
        budget_offload_share=0.15,
        success=(0.6, 0.7, 0.8, 0.85, 0.93),
        offload_energy_mj=14.0,
        offload_energy_provenance="modelled",
        offload_bytes=2520,
    )


def _summary(rows: list[ReceiptRow]) -> dict[str, Any]:
    routes = dict(sorted(Counter(row.route for row in rows).items()))
    ranks = {"p50": 11.2, "p95": 34.5, "p99": 61.0}
    ways = {"device_only": (20.4, 0.0), "hybrid": (21.1, 14.9), "cloud_only": (0.0, 88.7)}
    return {
        "task": "wearable",
        "seed": 3,
        "bundle_version": "wearable-1-0f3a9c21",
        "quick": False,
        "devices": len(_DEVICES),
        "inputs": len(rows),
        "recordings": 42,
        "sharing_devices": 0,
        "answered": len(rows),
        "not_sent": not_sent(rows),
        "follow_ups": follow_up_entry(rows, [], np.ones(len(rows), np.bool_)),
        "accuracy": {
            "device_only": 0.801,
            "cloud_only": 0.912,
            "hybrid": 0.862,
            "device_only_filtered": 0.808,
            "cloud_only_filtered": 0.916,
            "max_softmax_same_share": 0.851,
            "max_softmax_filtered_same_share": 0.855,
            "margin_same_share": 0.849,
            "margin_filtered_same_share": 0.853,
            "oracle_same_share": 0.934,
        },
        "routing": {
            "lines": ["routing: plain confidence rule (max-softmax)", "stream filter: ..."]
        },
        "offload_share": routes["cloud"] / len(rows),
        "routes": routes,
        "fallbacks": sum(row.reason == "unreachable" for row in rows),
        "capacity_switches": 6,
        "energy_mj_per_input": {
            **{way: compute + radio for way, (compute, radio) in ways.items()},
            "provenance": "modelled",
            "by_source": {
                way: {"compute": compute, "radio": radio} for way, (compute, radio) in ways.items()
            },
        },
        "latency_ms": dict.fromkeys(routes, ranks),
        "latency_provenance": "modelled",
        "wall_latency_ms": dict.fromkeys(routes, ranks),
        "bytes": {
            "bundle_down_by_device": {device: 9_000 * c for device, c in _DEVICES.items()},
            "offload_up": 2400 * routes["cloud"],
            "telemetry_up": 210_000,
        },
        "receipts": {"sent": len(rows), "stored": len(rows), "lost": 0, "duplicate": 0},
        "wall_s": {"data": 0.4, "learn": 0.0, "release": 0.2, "fleet": 21.7, "report": 2.1},
        "capacities": [
            {"calibration_accuracy": 0.68, "bytes": 6_400, "macs": 41_000},
            {"calibration_accuracy": 0.77, "bytes": 9_800, "macs": 120_000},
            {"calibration_accuracy": 0.84, "bytes": 17_500, "macs": 390_000},
            {"calibration_accuracy": 0.87, "bytes": 38_000, "macs": 1_250_000},
        ],
    }


def _curves() -> dict[str, list[tuple[float, float]]]:
    shares = [k / 50 for k in range(51)]
    return {
        "bundle's router": [(s, 0.83 + 0.085 * (1 - (1 - s) ** 4) - 0.003 * s) for s in shares],
        "max-softmax": [(s, 0.83 + 0.082 * (1 - (1 - s) ** 2.8)) for s in shares],
        "max-softmax, filtered": [(s, 0.83 + 0.084 * (1 - (1 - s) ** 2.9)) for s in shares],
        "margin": [(s, 0.83 + 0.082 * (1 - (1 - s) ** 2.6)) for s in shares],
        "margin, filtered": [(s, 0.83 + 0.084 * (1 - (1 - s) ** 2.7)) for s in shares],
        "device-only, filtered": [(0.0, 0.835)],
        "cloud-only, filtered": [(1.0, 0.916)],
        "device-only": [(0.0, 0.83)],
        "cloud-only": [(1.0, 0.912)],
    }
