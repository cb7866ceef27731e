"""Faults in a bundle that the self-test must detect, because every later start would fail."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Calibration, GoldenInputs, GuaranteePlan, Signature
from nestling_cloud.datasets.picture_graph import picture_graph
from nestling_device.bundle.calibration import CalibrationError
from nestling_device.bundle.self_test import self_test
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.delivery.installer import Installer, SelfTestError
from nestling_device.delivery.release_rules import needed_blobs
from nestling_device.storage.state import State
from tests.support.hand_bundle import (
    CAPACITIES,
    calibration,
    hand_bundle,
    template_predicting,
)
from tests.support.hand_guarantee import add_plan
from tests.support.memory_source import MemorySource

ENOUGH = 10_000


def try_bundle(folder: Path, capacity: int = CAPACITIES, **replaced: bytes) -> None:
    manifest, blobs = hand_bundle(1, **replaced)
    source, store = MemorySource(), BlobStore(folder)
    source.release(manifest, dict(blobs))
    for blob in needed_blobs(manifest, capacity, "uint8"):
        store.download(source, blob)
    self_test(manifest, capacity, store, "uint8")


def golden(change: Callable[[GoldenInputs], object]) -> bytes:
    manifest, blobs = hand_bundle()
    changed = GoldenInputs.FromString(blobs[manifest.golden.sha256])
    change(changed)
    return changed.SerializeToString()


def curves(change: Callable[[Calibration], object]) -> bytes:
    changed = calibration()
    change(changed)
    return changed.SerializeToString()


def test_sound_bundle_passes(tmp_path: Path) -> None:
    try_bundle(tmp_path)


def test_golden_logits_of_capacities_not_held_are_not_needed(tmp_path: Path) -> None:
    try_bundle(tmp_path, capacity=1, golden=golden(lambda g: g.logits.__delitem__(2)))


def _other_logits(inputs: GoldenInputs) -> None:
    inputs.logits[1] = (np.frombuffer(inputs.logits[1], "<f4") + 1).astype("<f4").tobytes()


def _fewer_logits(inputs: GoldenInputs) -> None:
    inputs.logits[0] = inputs.logits[0][:-4]


def _nan_logits(inputs: GoldenInputs) -> None:
    inputs.logits[0] = np.full(len(inputs.logits[0]) // 4, np.nan, "<f4").tobytes()


@pytest.mark.parametrize(
    "replaced",
    [
        {"golden": golden(_other_logits)},
        {"golden": golden(_nan_logits)},
        {"golden": golden(lambda g: g.logits.__delitem__(2))},
        {"golden": golden(lambda g: g.ClearField("inputs"))},
        {"golden": golden(_fewer_logits)},
        {"golden": b"\xff\xff"},
        {"template": b"no model"},
        {"template": template_predicting("Neg", ["predicted"])},
        {"template": template_predicting("Sigmoid", ["predicted"], options=5)},
        {"template": template_predicting("Log", ["predicted"])},
    ],
    ids=[
        "other logits",
        "logits that are nan",
        "a capacity without logits",
        "no golden inputs",
        "logits of fewer inputs",
        "no golden message",
        "template that does not load",
        "multiplexer without probabilities",
        "multiplexer of too many options",
        "multiplexer that returns nan",
    ],
)
def test_bundle_that_would_fail_an_agent_does_not_pass(
    tmp_path: Path, replaced: dict[str, bytes]
) -> None:
    with pytest.raises(SelfTestError):
        try_bundle(tmp_path, CAPACITIES, **replaced)


def test_bundle_that_names_fewer_classes_than_it_answers_does_not_pass(tmp_path: Path) -> None:
    manifest, blobs = hand_bundle()
    source, store = MemorySource(), BlobStore(tmp_path)
    source.release(manifest, dict(blobs))
    for blob in needed_blobs(manifest, CAPACITIES, "uint8"):
        store.download(source, blob)
    del manifest.signature.classes[-1]

    with pytest.raises(SelfTestError, match="the bundle's signature asks for 3"):
        self_test(manifest, CAPACITIES, store, "uint8")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff",
        b"",
        curves(lambda c: c.curves.__delitem__(2)),
        curves(lambda c: c.curves[1].points.__delitem__(0)),
        curves(lambda c: c.curves[1].points.__delitem__(2)),
        curves(lambda c: setattr(c.curves[0].points[1], "offload_share", 1.0)),
        curves(lambda c: setattr(c.curves[0].points[1], "gate_threshold", float("nan"))),
        curves(lambda c: setattr(c.curves[0].points[1], "accept_threshold", float("inf"))),
        curves(lambda c: c.curves[1].ClearField("believed")),
        curves(lambda c: c.curves[1].believed.append(0.5)),
        curves(lambda c: c.curves[1].believed.append(1.5)),
        curves(lambda c: c.curves[1].believed.append(float("nan"))),
    ],
    ids=[
        *("no message", "empty", "curve missing", "no 0", "no 1", "flat", "nan", "inf"),
        *("nothing believed", "falling belief", "more than sure", "belief nan"),
    ],
)
def test_incomplete_calibration_does_not_pass(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CalibrationError, match="release the bundle again"):
        try_bundle(tmp_path, calibration=data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plan: plan.ClearField("thresholds"),
        lambda plan: setattr(plan.thresholds[0], "accept_threshold", 0.3),
        lambda plan: setattr(plan.thresholds[1], "accept_threshold", float("nan")),
        lambda plan: setattr(plan.thresholds[1], "accept_threshold", float("inf")),
        lambda plan: setattr(plan.thresholds[1], "kept", 1001),
        lambda plan: setattr(plan.thresholds[1], "changed", 1001),
        lambda plan: setattr(plan, "dependence", 0),
        lambda plan: setattr(plan, "dependence", 10**9),
    ],
    ids=["none", "falling", "nan", "inf", "kept", "changed", "no dependence", "endless dependence"],
)
def test_invalid_plan_for_a_guarantee_does_not_pass(
    tmp_path: Path, spoil: Callable[[GuaranteePlan], object]
) -> None:
    def change(calibration: Calibration) -> None:
        add_plan(calibration.curves[1], 0.1, 0.2)
        spoil(calibration.curves[1].guarantee)

    with pytest.raises(CalibrationError, match=r"guarantee of capacity 2 .* release the bundle"):
        try_bundle(tmp_path, calibration=curves(change))


def test_valid_plan_for_a_guarantee_passes(tmp_path: Path) -> None:
    data = curves(lambda calibration: add_plan(calibration.curves[1], 0.1, 0.2))

    try_bundle(tmp_path, calibration=data)


def test_device_keeps_its_bundle_when_the_next_one_does_not_pass(tmp_path: Path) -> None:
    source = MemorySource()
    with State(tmp_path) as state:
        installer = Installer(state, BlobStore(tmp_path / "blobs"), source, self_test, "uint8")
        manifest, blobs = hand_bundle()
        source.release(manifest, dict(blobs))
        old = installer.install(ENOUGH)
        manifest, blobs = hand_bundle(2, calibration=b"")
        source.release(manifest, dict(blobs))

        with pytest.raises(DeliveryError):
            installer.install(ENOUGH)

        assert installer.active(ENOUGH) == old


def cascades(change: Callable[[Calibration], object]) -> bytes:
    changed = calibration()
    for _ in range(CAPACITIES):
        changed.cascades.add()
    changed.cascades[2].start = 1
    changed.cascades[2].curve.CopyFrom(changed.curves[2])
    change(changed)
    return changed.SerializeToString()


def test_valid_cascade_passes(tmp_path: Path) -> None:
    try_bundle(tmp_path, calibration=cascades(lambda c: None))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.cascades.__delitem__(0),
        lambda c: setattr(c.cascades[2], "start", 3),
        lambda c: setattr(c.cascades[2], "threshold", float("nan")),
        lambda c: setattr(c.cascades[2], "larger_share", float("nan")),
        lambda c: setattr(c.cascades[2], "larger_share", 1.1),
        lambda c: c.cascades[2].ClearField("curve"),
    ],
    ids=[
        "one missing",
        "from itself",
        "threshold nan",
        "larger share nan",
        "cascades too often",
        "no curve",
    ],
)
def test_invalid_cascade_does_not_pass(
    tmp_path: Path, change: Callable[[Calibration], object]
) -> None:
    with pytest.raises(CalibrationError, match="release the bundle again"):
        try_bundle(tmp_path, calibration=cascades(change))


def test_front_end_that_does_not_give_inputs_of_the_task_does_not_pass(tmp_path: Path) -> None:
    for number, graph in enumerate((b"no graph", picture_graph(Signature(shape=[3, 4, 4])))):
        with pytest.raises(SelfTestError, match="release it again"):
            try_bundle(tmp_path / str(number), front_end=graph)
