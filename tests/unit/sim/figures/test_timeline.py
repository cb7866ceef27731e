from dataclasses import replace
from pathlib import Path

import numpy as np

from nestling.v1.bundle_pb2 import Manifest, Signature
from nestling_cloud.service.config import Addresses
from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.tasks import Examples
from nestling_sim.figures.evaluation import Evaluation
from nestling_sim.figures.finished_run import FinishedRun
from nestling_sim.figures.timeline import MOST_MOMENTS, timeline
from nestling_sim.fleet.live_run import DeviceRun, Fleet
from nestling_sim.report import Evidence
from nestling_sim.scenario.limits import Needs
from nestling_sim.scenario.scenario import load_scenario

INPUTS = MOST_MOMENTS + 5
DEVICES = ("pi-5-10", "pi-5-2", "pi-5-1")


def finished(rows: list[ReceiptRow]) -> FinishedRun:
    nothing = np.zeros(len(rows), np.bool_)
    examples = Examples(
        inputs=np.zeros((INPUTS, 1), np.float32), labels=np.arange(INPUTS, dtype=np.int64) % 2
    )
    return FinishedRun(
        manifest=Manifest(signature=Signature(classes=["still", "moving"])),
        version="wearable-1-0f3a9c21",
        fleet=Fleet(
            scenario=load_scenario("wearable"),
            streams=dict.fromkeys(DEVICES, examples),
            needs=Needs(memory_bytes=[1], macs=[1], offload_bytes=1),
            addresses=Addresses(grpc="127.0.0.1:1", broker="127.0.0.1:2", console=None),
            state_dir=Path("devices"),
        ),
        runs=[run(device) for device in DEVICES],
        receipts=rows,
        follow_ups=[],
        every_receipt=rows,
        evaluation=Evaluation(
            device=nothing,
            cloud=nothing,
            answered=nothing,
            revised=nothing,
            offloaded=nothing,
            cloud_open=nothing,
            urgency={},
        ),
        routing={},
    )


def run(device: str) -> DeviceRun:
    return DeviceRun(
        device_id=device,
        answered=INPUTS,
        receipts=INPUTS,
        flushed=True,
        bundle_bytes=0,
        telemetry_bytes=0,
    )


def rows(evidence: Evidence, sent: dict[str, int]) -> list[ReceiptRow]:
    """The receipts of each device, of which the cloud answered the first ones."""
    like = evidence.receipts[0]
    return [
        replace(
            like,
            device=device,
            input_index=index,
            answer=0,
            device_answer=None if index == 1 else 0,
            device_confidence=0.75 if index != 1 else 0.0,
            route="cloud" if index < sent[device] else "capacity-1",
        )
        for device in sorted(DEVICES)
        for index in range(INPUTS)
    ]


def test_first_device_that_the_cloud_answered_most_often_is_shown(evidence: Evidence) -> None:
    shown = timeline(finished(rows(evidence, {"pi-5-1": 2, "pi-5-2": 3, "pi-5-10": 3})))

    assert shown is not None
    assert shown.device == "pi-5-2"
    assert {moment.receipt.device for moment in shown.moments} == {"pi-5-2"}


def test_moments_are_the_first_inputs_with_truth_and_confidence(evidence: Evidence) -> None:
    shown = timeline(finished(rows(evidence, dict.fromkeys(DEVICES, 1))))

    assert shown is not None
    assert [moment.receipt.input_index for moment in shown.moments] == list(range(MOST_MOMENTS))
    assert [moment.truth for moment in shown.moments[:3]] == ["still", "moving", "still"]
    assert [moment.is_right for moment in shown.moments[:3]] == [True, False, True]
    assert shown.moments[0].confidence == 0.75
    assert np.isnan(shown.moments[1].confidence)  # no capacity ran


def test_nothing_is_shown_if_the_cloud_answered_nothing(evidence: Evidence) -> None:
    assert timeline(finished(rows(evidence, dict.fromkeys(DEVICES, 0)))) is None
