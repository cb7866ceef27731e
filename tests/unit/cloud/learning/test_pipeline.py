"""The result of `learn` for the wearable task, read back from the released bundle."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Calibration, GoldenInputs, Manifest
from nestling_cloud.bundles.export import export_capacity
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.learning.macs import student_macs
from nestling_cloud.learning.routing import FEWEST_FITTED
from nestling_cloud.learning.routing.data import FITTED_PART
from nestling_cloud.learning.train_teacher import cloud_model_name
from nestling_cloud.tasks import concatenate
from nestling_core.execution.session import open_session
from nestling_core.nest.bundle_files import MANIFEST_FORMAT
from nestling_core.nest.layout import assemble
from nestling_core.student.plan import layout
from tests.support.foreign_client import open_exported
from tests.support.trained import TrainedTask

Floats = NDArray[np.float32]
CAPACITIES = (1, 2, 3, 4)


class Bundle:
    """The released bundle, opened as a device would open it."""

    def __init__(self, trained: TrainedTask) -> None:
        self._repository = Repository(trained.repository)
        self.manifest: Manifest = self._repository.manifest()

    def read(self, sha256: str) -> bytes:
        return self._repository.read(sha256)

    def rings(self, capacity: int) -> list[bytes]:
        return [self.read(entry.ring.sha256) for entry in self.manifest.capacities[:capacity]]

    def tensors(self, capacity: int) -> dict[str, NDArray[np.int8]]:
        return assemble(self.manifest.tensors, self.rings(capacity))

    def template(self, capacity: int) -> bytes:
        return self.read(self.manifest.capacities[capacity - 1].template.sha256)

    def logits(self, capacity: int, inputs: Floats) -> Floats:
        session = open_session(self.template(capacity), self.tensors(capacity))
        found: Floats = session.run(None, {"input": inputs})[0]
        return found

    def teacher(self) -> onnxruntime.InferenceSession:
        return open_session(self._repository.read_model(self.manifest.cloud))


@pytest.fixture(scope="module")
def bundle(trained: TrainedTask) -> Bundle:
    return Bundle(trained)


@pytest.fixture(scope="module")
def golden(bundle: Bundle) -> GoldenInputs:
    return GoldenInputs.FromString(bundle.read(bundle.manifest.golden.sha256))


@pytest.fixture(scope="module")
def golden_inputs(bundle: Bundle, golden: GoldenInputs) -> Floats:
    return np.frombuffer(golden.inputs, "<f4").reshape(-1, *bundle.manifest.signature.shape)


def test_manifest_describes_the_task(trained: TrainedTask, bundle: Bundle) -> None:
    manifest = bundle.manifest

    assert (manifest.task, manifest.release, manifest.format) == ("wearable", 1, MANIFEST_FORMAT)
    assert manifest.signature == trained.task.signature
    assert list(manifest.tensors) == layout(trained.task.signature, trained.task.student)
    assert manifest.cloud.name == cloud_model_name(trained.task)
    assert [entry.macs for entry in manifest.capacities] == [
        student_macs(trained.task.signature, trained.task.student, k) for k in CAPACITIES
    ]


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_every_weight_of_a_capacity_is_a_prefix_slice_of_the_largest(
    bundle: Bundle, capacity: int
) -> None:
    largest = bundle.tensors(len(CAPACITIES))

    for name, tensor in bundle.tensors(capacity).items():
        box = tuple(slice(0, length) for length in tensor.shape)
        assert largest[name][box].tobytes() == tensor.tobytes()


def test_weight_store_is_no_larger_than_the_largest_capacity(bundle: Bundle) -> None:
    stored = sum(entry.ring.size for entry in bundle.manifest.capacities)
    largest = sum(tensor.nbytes for tensor in bundle.tensors(len(CAPACITIES)).values())

    assert stored <= 1.05 * largest


def test_capacities_grow_in_every_cost(bundle: Bundle) -> None:
    entries = bundle.manifest.capacities

    for costs in (
        [entry.macs for entry in entries],
        [entry.memory_bytes for entry in entries],
        [entry.template.size for entry in entries],
    ):
        assert costs == sorted(set(costs))
    assert entries[-1].macs < bundle.manifest.cloud.macs


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_memory_covers_weights_template_and_activations(bundle: Bundle, capacity: int) -> None:
    weights = sum(tensor.nbytes for tensor in bundle.tensors(capacity).values())
    entry = bundle.manifest.capacities[capacity - 1]

    activations = entry.memory_bytes - weights - entry.template.size
    assert activations > 6 * 100  # the input and the output of the first layer


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_golden_inputs_are_answered_within_the_tolerance(
    bundle: Bundle, golden: GoldenInputs, golden_inputs: Floats, capacity: int
) -> None:
    expected = np.frombuffer(golden.logits[capacity - 1], "<f4").reshape(golden.count, -1)

    found = bundle.logits(capacity, golden_inputs)

    assert np.abs(found - expected).max() <= golden.tolerance
    assert golden.tolerance < 0.1 * np.ptp(expected)  # tight enough to detect another model


def test_golden_inputs_detect_one_wrong_ring(
    bundle: Bundle, golden: GoldenInputs, golden_inputs: Floats
) -> None:
    first, second = bundle.rings(2)
    wrong = bytes(reversed(second))
    session = open_session(bundle.template(2), assemble(bundle.manifest.tensors, [first, wrong]))

    found = session.run(None, {"input": golden_inputs})[0]

    expected = np.frombuffer(golden.logits[1], "<f4").reshape(found.shape)
    assert np.abs(found - expected).max() > golden.tolerance


def test_templates_with_their_weights_beside_them_load_anywhere(
    bundle: Bundle, golden_inputs: Floats, tmp_path: Path
) -> None:
    for capacity in CAPACITIES:
        path = export_capacity(
            tmp_path, bundle.template(capacity), bundle.tensors(capacity), capacity
        )

        onnx.checker.check_model(str(path), full_check=True)
        found = open_exported(path).run(None, {"input": golden_inputs})[0]
        assert np.array_equal(found, bundle.logits(capacity, golden_inputs))


def test_accuracies_are_those_of_the_calibration_subjects(
    trained: TrainedTask, bundle: Bundle
) -> None:
    unseen = trained.splits.calibration

    for capacity in CAPACITIES:
        right = bundle.logits(capacity, unseen.inputs[:]).argmax(1) == unseen.labels
        assert bundle.manifest.capacities[capacity - 1].accuracy == pytest.approx(right.mean())
    teacher = bundle.teacher().run(None, {"input": unseen.inputs[:]})[0]
    found = (teacher.argmax(1) == unseen.labels).mean()
    assert bundle.manifest.cloud.accuracy == pytest.approx(found, abs=0.005)


def test_models_generalize_to_unseen_subjects(trained: TrainedTask, bundle: Bundle) -> None:
    test = concatenate(trained.splits.test)

    teacher = bundle.teacher().run(None, {"input": test.inputs[:]})[0]
    largest = bundle.logits(len(CAPACITIES), test.inputs[:])

    chance = 1 / len(trained.task.signature.classes)
    assert (teacher.argmax(1) == test.labels).mean() > 3 * chance
    assert (largest.argmax(1) == test.labels).mean() > 3 * chance


def test_calibration_has_a_curve_for_each_capacity(trained: TrainedTask, bundle: Bundle) -> None:
    calibration = Calibration.FromString(bundle.read(bundle.manifest.calibration.sha256))

    unseen = trained.splits.calibration
    held_out = slice(round(FITTED_PART * len(unseen)), None)
    assert calibration.inputs == len(unseen.labels[held_out])
    assert calibration.fitted_inputs + calibration.inputs == len(unseen)
    assert (calibration.network_inputs > len(unseen)) == (calibration.fitted_inputs < FEWEST_FITTED)
    assert len(calibration.curves) == len(CAPACITIES)
    teacher = bundle.teacher().run(None, {"input": unseen.inputs[held_out]})[0]
    cloud = (teacher.argmax(1) == unseen.labels[held_out]).mean()
    for capacity, curve in zip(CAPACITIES, calibration.curves, strict=True):
        answers = bundle.logits(capacity, unseen.inputs[held_out]).argmax(1)
        device = (answers == unseen.labels[held_out]).mean()
        assert curve.points[0].accuracy == pytest.approx(device)
        assert curve.points[-1].accuracy == pytest.approx(cloud, abs=0.005)


@pytest.mark.parametrize("capacity", CAPACITIES)
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4, 1e30])
def test_multiplexer_answers_any_input_with_probabilities(
    bundle: Bundle, size: float, capacity: int
) -> None:
    rng = np.random.default_rng(0)
    inputs = np.where(rng.random((32, 6, 100)) < 0.5, -size, size).astype(np.float32)
    session = open_session(bundle.template(capacity), bundle.tensors(capacity))

    (right,) = session.run(["right"], {"input": inputs})

    assert right.shape == (32, len(CAPACITIES) + 1)
    assert ((right >= 0) & (right <= 1)).all()


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_multiplexer_is_calibrated_for_unseen_people(
    trained: TrainedTask, bundle: Bundle, capacity: int
) -> None:
    unseen = trained.splits.calibration
    held_out = slice(round(FITTED_PART * len(unseen)), None)
    session = open_session(bundle.template(capacity), bundle.tensors(capacity))

    logits, right = session.run(["logits", "right"], {"input": unseen.inputs[held_out]})

    is_right = logits.argmax(axis=1) == unseen.labels[held_out]
    believed = right[:, capacity - 1]
    assert believed.mean() == pytest.approx(is_right.mean(), abs=0.2)
    assert believed[is_right].mean() > believed[~is_right].mean() + 0.02
