"""Reasons for which inputs could not go to the cloud, with the figures needed and allowed."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from nestling.v1 import receipt_pb2
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.store.tally import FALLBACKS
from nestling_core.routing.admission import offload_bytes
from nestling_core.wire.choice import plain_form
from nestling_device.inference.limits import NOT_ASKED
from nestling_sim.figures.refusals import NOT_SENT, not_sent
from nestling_sim.report import Evidence, report_page, summary_table
from nestling_sim.report.refusals import by_device, reasons_line

SIZE = offload_bytes(plain_form((3, 32, 32)))


@pytest.fixture
def row(evidence: Evidence) -> ReceiptRow:
    """A receipt of a picture that stays on a Pi Zero: its offload needs 65.7 of at most 60 mJ."""
    return replace(
        evidence.receipts[0],
        device="pi-zero-2w-1",
        route="capacity-1",
        reason="energy_limit",
        latency_ms=0.4,
        energy_compute_mj=0.43,
        offload_bytes=SIZE,
        offload_energy_mj=65.697,
        budget_energy_mj=60.0,
        budget_latency_ms=1500.0,
        budget_battery=1.0,
    )


def test_every_reason_for_not_sending_is_counted() -> None:
    names = {receipt_pb2.Reason.Name(one)[len("REASON_") :].lower() for one in NOT_ASKED}

    assert set(NOT_SENT) == names | FALLBACKS


def test_energy_limit_is_reported_with_both_figures_and_the_device_that_never_sends(
    row: ReceiptRow,
) -> None:
    other = replace(row, device="pi-4b-1", reason="accepted")

    found = not_sent([row, replace(row, input_index=1), other])

    entry = {"inputs": 2, "needed": 65.697, "allowed": 60.0, "unit": "mJ"}
    assert found == {
        "inputs": 2,
        "reasons": {"energy_limit": 2},
        "devices": {"pi-zero-2w-1": {"energy_limit": entry}},
        "never": ["pi-zero-2w-1"],
    }


def test_input_over_two_limits_counts_for_both(row: ReceiptRow) -> None:
    found = not_sent([replace(row, budget_latency_ms=30.0)])

    assert found["inputs"] == 1
    assert found["reasons"] == {"energy_limit": 1, "latency_limit": 1}
    latency = found["devices"]["pi-zero-2w-1"]["latency_limit"]
    assert latency["allowed"] == 30.0
    assert latency["needed"] == pytest.approx(20 + SIZE * 8 / 5e3, abs=1e-3)


def test_limit_exceeded_only_after_the_devices_run_includes_that_run(
    row: ReceiptRow,
) -> None:
    found = not_sent([replace(row, budget_energy_mj=66.0)])

    entry = found["devices"]["pi-zero-2w-1"]["energy_limit"]
    assert (entry["needed"], entry["allowed"]) == (pytest.approx(66.127), 66.0)


def test_battery_link_and_failures_are_counted_separately(row: ReceiptRow) -> None:
    rows = [
        replace(row, reason="low_battery", budget_energy_mj=240.0, budget_battery=0.04),
        replace(row, reason="no_link", budget_link_mbit_s=0.0, offload_bytes=0),
        replace(row, reason="back_off"),
        replace(row, reason="unreachable", budget_energy_mj=240.0),
        replace(row, reason="accepted", budget_energy_mj=240.0),
    ]

    found = not_sent(rows)

    assert found["inputs"] == 4
    assert found["reasons"] == dict.fromkeys(
        ("no_link", "low_battery", "back_off", "unreachable"), 1
    )
    assert found["devices"]["pi-zero-2w-1"]["low_battery"]["allowed"] == pytest.approx(48.0)
    assert found["devices"]["pi-zero-2w-1"]["no_link"] == {"inputs": 1}
    assert found["never"] == []


def test_report_and_terminal_name_devices_that_could_never_send_and_the_cause(
    evidence: Evidence, row: ReceiptRow
) -> None:
    rows = [row, *(one for one in evidence.receipts if one.device != row.device)]
    shut = replace(
        evidence, receipts=rows, summary={**evidence.summary, "not_sent": not_sent(rows)}
    )
    console = Console(width=200, record=True, file=io.StringIO())

    console.print(summary_table(shut.summary))

    for text in (report_page(shut), console.export_text()):
        plain = text.replace("\u00a0", " ")
        assert (
            "pi-zero-2w-1: energy limit (an offload needs 65.7 mJ, the limit is 60.0 mJ)" in plain
        )
    assert "1 of 9 devices could never send" in report_page(shut)
    assert ("pi-zero-2w-1", "energy limit", "1", "65.7 mJ", "60.0 mJ") in by_device(
        shut.summary
    ).rows


def test_run_without_refusals_is_stated_on_the_page_and_omitted_on_the_terminal(
    evidence: Evidence,
) -> None:
    rows = [replace(one, reason="accepted") for one in evidence.receipts]
    summary = {**evidence.summary, "not_sent": not_sent(rows)}
    console = Console(width=200, record=True, file=io.StringIO())

    console.print(summary_table(summary))

    assert "the cloud was available for every input" in report_page(
        replace(evidence, summary=summary)
    )
    assert "not sent" not in console.export_text()
    assert reasons_line(summary["not_sent"]) == ""


def test_report_and_terminal_state_that_recordings_are_shared(evidence: Evidence) -> None:
    summary = {**evidence.summary, "devices": 100, "sharing_devices": 58}
    console = Console(width=200, record=True, file=io.StringIO())

    console.print(summary_table(summary))

    for text in (report_page(replace(evidence, summary=summary)), console.export_text()):
        assert "the 100 devices share 42 recordings, each from another starting point" in text
    assert "share 42 recordings" not in report_page(evidence)
