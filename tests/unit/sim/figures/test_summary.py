import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestling.v1 import bundle_pb2
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_core.routing.admission import offload_bytes
from nestling_core.wire.choice import plain_form
from nestling_device.energy.offload_energy import offload_mj
from nestling_device.energy.power_tables import load_board, load_link
from nestling_sim.figures.evaluation import Evaluation
from nestling_sim.figures.follow_ups import revised_answers
from nestling_sim.figures.summary import Outcome, summarize
from nestling_sim.fleet.live_run import DeviceRun
from nestling_sim.report import Evidence
from nestling_sim.scenario.scenario import load_scenario

SHAPE = [6, 100]
MACS = (60_000, 200_000, 400_000, 800_000)
# The keys that readers of summary.json may rely on.
KEYS = {
    "task": None,
    "seed": None,
    "bundle_version": None,
    "devices": None,
    "inputs": None,
    "answered": None,
    "accuracy": {
        "device_only",
        "cloud_only",
        "hybrid",
        "max_softmax_same_share",
        "margin_same_share",
        "oracle_same_share",
    },
    "offload_share": None,
    "routes": None,
    "fallbacks": None,
    "routing": {"rule", "lines"},
    "not_sent": {"inputs", "reasons", "devices", "never"},
    "capacity_switches": None,
    "energy_mj_per_input": {"device_only", "cloud_only", "hybrid", "provenance"},
    "latency_ms": None,
    "bytes": {"bundle_down_by_device", "offload_up", "telemetry_up"},
    "receipts": {"sent", "stored", "lost", "duplicate"},
    "wall_s": None,
}


@pytest.fixture
def rows(evidence: Evidence) -> list[ReceiptRow]:
    """Receipts of two devices, with a switch, a fallback and two offloads."""
    like = replace(evidence.receipts[0], budget_link_mbit_s=5.0, route="capacity-2")
    like = replace(like, reason="accepted", resident_capacity=2, bytes_up=0, latency_ms=1.0)
    like = replace(like, energy_compute_mj=2.0, energy_radio_mj=0.0)
    sent = replace(like, route="cloud", reason="escalated", bytes_up=2500, energy_radio_mj=10.0)
    small, large = "pi-4b-1", "pi-5-1"
    return [
        replace(like, device=small, input_index=0),
        replace(
            replace(like, device=small, input_index=1, latency_ms=3.0),
            resident_capacity=1,
            route="capacity-1",
        ),
        replace(sent, device=small, input_index=2, resident_capacity=1, latency_ms=9.0),
        replace(sent, device=large, input_index=0, resident_capacity=4, latency_ms=11.0),
        replace(
            replace(like, device=large, input_index=1, reason="unreachable"),
            resident_capacity=4,
            route="capacity-4",
        ),
    ]


def manifest() -> bundle_pb2.Manifest:
    return bundle_pb2.Manifest(
        task="wearable",
        signature=bundle_pb2.Signature(shape=SHAPE),
        capacities=[
            bundle_pb2.Capacity(macs=macs, accuracy=0.5, ring=bundle_pb2.Blob(size=1000 * number))
            for number, macs in enumerate(MACS, start=1)
        ],
    )


def evaluation(rows: list[ReceiptRow]) -> Evaluation:
    device, cloud = np.array([1, 0, 0, 0, 1], np.bool_), np.array([1, 1, 1, 1, 0], np.bool_)
    offloaded = np.array([row.route == "cloud" for row in rows])
    return Evaluation(
        device=device[: len(rows)],
        cloud=cloud[: len(rows)],
        answered=np.where(offloaded, cloud[: len(rows)], device[: len(rows)]),
        revised=cloud[: len(rows)],
        offloaded=offloaded,
        cloud_open=np.ones(len(rows), np.bool_),
        urgency={
            "max-softmax": np.array([-0.9, -0.4, -0.6, -0.3, -0.8])[: len(rows)],
            "margin": np.array([-0.9, -0.4, -0.6, -0.3, -0.8])[: len(rows)],
            "oracle": (cloud.astype(np.float64) - device)[: len(rows)],
        },
    )


def run(device_id: str, answered: int) -> DeviceRun:
    return DeviceRun(
        device_id=device_id,
        answered=answered,
        receipts=answered,
        flushed=True,
        bundle_bytes=80_000,
        telemetry_bytes=1000,
    )


def summary(rows: list[ReceiptRow], follow_ups: Sequence[ReceiptRow] = ()) -> dict[str, Any]:
    return summarize(
        Outcome(
            task="wearable",
            seed=3,
            bundle_version="wearable-1-0f3a9c21",
            manifest=manifest(),
            scenario=load_scenario("wearable"),
            inputs=5,
            recordings=42,
            runs=[run("pi-4b-1", 3), run("pi-5-1", 2)],
            receipts=rows,
            follow_ups=follow_ups,
            evaluation=evaluation(rows),
            routing={"rule": "network", "lines": ["routing: network"]},
            wall_s={"fleet": 1.234},
        )
    )


def test_summary_has_every_guaranteed_key_and_is_json(rows: list[ReceiptRow]) -> None:
    found = summary(rows)

    assert set(KEYS) <= set(found)
    for key, inner in KEYS.items():
        assert inner is None or inner <= set(found[key])
    for ranks in found["latency_ms"].values():
        assert set(ranks) == {"p50", "p95", "p99"}
    assert found == json.loads(json.dumps(found, allow_nan=False))


def test_counts_are_taken_from_the_receipts(rows: list[ReceiptRow]) -> None:
    found = summary(rows)

    assert (found["devices"], found["inputs"], found["answered"]) == (2, 5, 5)
    assert found["routes"] == {"capacity-1": 1, "capacity-2": 1, "capacity-4": 1, "cloud": 2}
    assert found["fallbacks"] == 1
    assert found["offload_share"] == 0.4
    assert found["bytes"]["offload_up"] == 5000
    assert found["bytes"]["telemetry_up"] == 2000
    assert found["bytes"]["bundle_down_by_device"] == {"pi-4b-1": 80_000, "pi-5-1": 80_000}
    assert [one["bytes"] for one in found["capacities"]] == [1000, 3000, 6000, 10_000]


def test_switches_are_counted_within_each_device(
    rows: list[ReceiptRow],
) -> None:
    assert summary(rows)["capacity_switches"] == 1


def test_accuracies_are_computed_on_the_same_inputs(rows: list[ReceiptRow]) -> None:
    assert summary(rows)["accuracy"] == {
        "device_only": 0.4,
        "cloud_only": 0.8,
        "hybrid": 0.8,
        "max_softmax_same_share": 0.8,
        "margin_same_share": 0.8,
        "oracle_same_share": 0.8,
    }


def test_every_receipt_stored_once_is_neither_lost_nor_duplicate(rows: list[ReceiptRow]) -> None:
    assert summary(rows)["receipts"] == {"sent": 5, "stored": 5, "lost": 0, "duplicate": 0}


def test_receipt_that_is_not_stored_is_lost(rows: list[ReceiptRow]) -> None:
    found = summary(rows[:-1])["receipts"]

    assert found == {"sent": 5, "stored": 4, "lost": 1, "duplicate": 0}


def test_duplicate_receipt_does_not_hide_a_lost_one(
    rows: list[ReceiptRow],
) -> None:
    again = replace(rows[0], sequence=99, outbox_id="1" * 32)

    found = summary([again, *rows[:-1]])["receipts"]

    assert found == {"sent": 5, "stored": 5, "lost": 1, "duplicate": 1}


def follow_up(first: ReceiptRow, kind: str, reason: str, answer: int) -> ReceiptRow:
    return replace(
        first,
        sequence=first.sequence + 100,
        route="cloud" if reason != "expired" else first.route,
        reason=reason,
        device_answer=first.answer,
        answer=answer,
        follow_up=kind,
        follows=first.fingerprint,
        agreement=None if reason == "expired" else float(answer == first.answer),
        energy_compute_mj=0.0,
        energy_radio_mj=10.0,
        bytes_up=50,
    )


def test_follow_ups_are_counted_beside_the_answers(rows: list[ReceiptRow]) -> None:
    announced = [
        *(replace(row, follow_up="deferred") for row in rows[:3]),
        *(replace(row, follow_up="audit") for row in rows[3:]),
    ]
    follow_ups = [
        follow_up(announced[0], "deferred", "deferred", announced[0].answer),
        follow_up(announced[1], "deferred", "deferred", announced[1].answer + 1),
        follow_up(announced[2], "deferred", "expired", announced[2].answer),
        follow_up(announced[3], "audit", "audited", announced[3].answer),
    ]
    before, found = summary(announced), summary(announced, follow_ups)

    assert found["follow_ups"] == {
        "deferred": 3,
        "revised": 2,
        "changed": 1,
        "audits": 1,
        "agreeing": 1,
        "expired": 1,
        "waiting": 1,
        "accuracy": 0.8,
        "energy_mj": 8.0,
    }
    assert found["routes"] == before["routes"]
    assert found["accuracy"] == before["accuracy"]
    assert found["latency_ms"] == before["latency_ms"]
    energies = [each["energy_mj_per_input"]["hybrid"] for each in (before, found)]
    assert energies[1] == pytest.approx(energies[0] + 8.0)
    assert found["bytes"]["offload_up"] == before["bytes"]["offload_up"] + 200
    assert (found["receipts"]["stored"], found["receipts"]["duplicate"]) == (9, 0)


def test_revised_answers_are_those_of_the_cloud(rows: list[ReceiptRow]) -> None:
    rows = [replace(row, fingerprint=number) for number, row in enumerate(rows)]
    follow_ups = [
        follow_up(rows[0], "deferred", "deferred", 3),
        follow_up(rows[1], "deferred", "expired", 3),
        follow_up(rows[2], "audit", "audited", 3),
    ]

    found = revised_answers(rows, follow_ups)

    assert [answer.code for answer in found] == [
        3,
        rows[1].answer,
        3,
        *(row.answer for row in rows[3:]),
    ]


def test_hybrid_energy_is_from_the_receipts_and_totals_are_sums_of_their_sources(
    rows: list[ReceiptRow],
) -> None:
    energy = summary(rows)["energy_mj_per_input"]

    assert energy["by_source"]["hybrid"] == {"compute": 2.0, "radio": 4.0}
    assert energy["provenance"] == "modelled"
    for way, sources in energy["by_source"].items():
        assert energy[way] == pytest.approx(sum(sources.values()))


def test_device_only_runs_the_resident_capacity_on_the_devices_board(
    rows: list[ReceiptRow],
) -> None:
    pi_4b, pi_5 = load_board("pi-4b"), load_board("pi-5")
    each = [
        *(pi_4b.compute_mj(pi_4b.compute_ms(MACS[resident - 1])) for resident in (2, 1, 1)),
        *(pi_5.compute_mj(pi_5.compute_ms(MACS[3])) for _ in range(2)),
    ]

    energy = summary(rows)["energy_mj_per_input"]

    assert energy["device_only"] == pytest.approx(np.mean(each))


def test_cloud_only_sends_every_input_over_its_current_link(rows: list[ReceiptRow]) -> None:
    slow = [replace(rows[0], budget_link_mbit_s=0.3), *rows[1:]]
    size, wifi = offload_bytes(plain_form(SHAPE)), load_link("wifi")
    each = [offload_mj(wifi, size, mbit_s) for mbit_s in (0.3, 5.0, 5.0, 5.0, 5.0)]

    assert summary(slow)["energy_mj_per_input"]["cloud_only"] == pytest.approx(np.mean(each))


def test_cloud_only_uses_fair_conditions_for_an_input_without_a_link(
    rows: list[ReceiptRow],
) -> None:
    cut = [replace(rows[0], budget_link_mbit_s=0.0), *rows[1:]]

    fair = summary(rows)["energy_mj_per_input"]["cloud_only"]
    assert summary(cut)["energy_mj_per_input"]["cloud_only"] == fair


def test_percentiles_are_by_route(rows: list[ReceiptRow]) -> None:
    latency = summary(rows)["latency_ms"]

    assert latency["cloud"]["p50"] == 10.0
    assert latency["capacity-1"] == {"p50": 3.0, "p95": 3.0, "p99": 3.0}
