import dataclasses
from pathlib import Path

import pytest

from nestling.v1.bundle_pb2 import Calibration, Signature
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.console.data.released_bundle import (
    Models,
    bundle_note,
    curves_measured_on,
    desired_version,
    measured_on,
    read_models,
    routing_texts,
    useful_share_texts,
)
from nestling_core.kinds.kind import Answer
from tests.support.hand_bundle import calibration, hand_bundle, hand_release


@pytest.mark.parametrize(
    ("running", "desired", "note"),
    [
        ("small-2", "small-2", "up to date"),
        ("small-1", "small-2", "should run small-2"),
        ("", "small-2", "should run small-2"),
        ("small-1", "", ""),
        ("", "", ""),
    ],
)
def test_bundle_note_compares_with_the_desired_bundle(
    running: str, desired: str, note: str
) -> None:
    assert bundle_note(running, desired) == note


def test_desired_version_is_the_last_release(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert desired_version(repository) == ""

    for release in (1, 2):
        version = hand_release(repository, release=release)

        assert desired_version(repository) == version


def test_damaged_release_has_no_desired_version(tmp_path: Path) -> None:
    (tmp_path / "desired.binpb").write_bytes(b"\xff")

    assert desired_version(Repository(tmp_path)) == ""


def models_with(folder: Path, made: Calibration, teacher: bytes) -> Models:
    """Release the hand-made bundle with another calibration, and read it."""
    repository = Repository(folder)
    manifest, blobs = hand_bundle(calibration=made.SerializeToString())
    manifest.cloud.onnx.CopyFrom(repository.add_model(teacher))
    for data in blobs.values():
        repository.add(data)
    for capacity in manifest.capacities:
        capacity.accuracy = 0.8
    manifest.cloud.accuracy = 0.75
    repository.release(manifest)
    return read_models(repository)


@pytest.mark.parametrize(
    ("signature", "answer", "task", "text"),
    [
        (Signature(classes=["a", "b"]), Answer(1), None, "b"),
        (Signature(classes=["a", "b"]), Answer(1), "other", "answer 1"),
        (Signature(classes=["a", "b"]), Answer(2), None, "answer 2"),
        (Signature(classes=["a", "b"], kind="multi-label"), Answer(3), "hand", "a + b"),
        (Signature(classes=["a", "b"]), Answer(0, (1.5, 2.0)), None, "answer 1.5, 2"),
        (Signature(classes=["a", "b"], kind="anomaly"), Answer(1, (1.5,)), None, "b (1.5)"),
    ],
)
def test_answer_is_shown_as_its_kind_does_or_as_numbers(
    tmp_path: Path,
    tiny_teacher: bytes,
    *,
    signature: Signature,
    answer: Answer,
    task: str | None,
    text: str,
) -> None:
    released = models_with(tmp_path, calibration(), tiny_teacher)
    found = dataclasses.replace(released, signature=signature)

    assert found.answer_text(answer, task) == text


def test_accuracies_name_all_inputs_and_curves_those_held_out(
    tmp_path: Path, tiny_teacher: bytes
) -> None:
    made = calibration()
    made.inputs, made.fitted_inputs = 52, 78

    models = models_with(tmp_path, made, tiny_teacher)

    assert measured_on(models) == "on 130 calibration inputs when the bundle was built"
    assert curves_measured_on(models) == (
        "on 52 held-out calibration inputs when the bundle was built"
    )


def test_routing_of_the_released_bundle_is_described(tmp_path: Path, tiny_teacher: bytes) -> None:
    made = calibration()
    made.rule, made.network_inputs, made.inputs, made.fitted_inputs = "margin", 834, 52, 78

    models = models_with(tmp_path, made, tiny_teacher)

    assert routing_texts(models)[0].startswith("routing: plain confidence rule (margin): 130 ")


def test_useful_share_is_named_only_below_the_target(tmp_path: Path, tiny_teacher: bytes) -> None:
    made = calibration()
    made.curves[1].useful_share = 0.2

    models = models_with(tmp_path, made, tiny_teacher)

    assert useful_share_texts(models, {1, 2}, 0.2) == []
    assert useful_share_texts(models, {1, 3}, 0.5) == []
    (text,) = useful_share_texts(models, {1, 2}, 0.5)
    assert text.startswith("the cloud is less accurate than capacity 2 ")
    assert "(75.0% against 80.0%): at most 20.0% of the inputs is sent" in text


def test_unreadable_calibration_has_no_routing(tmp_path: Path, tiny_teacher: bytes) -> None:
    made = calibration()
    del made.curves[1:]

    models = models_with(tmp_path, made, tiny_teacher)

    assert models.routing.routes == ()
    assert models.curves == ()
