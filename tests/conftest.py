"""A cloud small enough for any test: a teacher of one matrix, and a bundle of arbitrary blobs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nestling.v1 import bundle_pb2
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_core.nest.bundle_files import MANIFEST_FORMAT
from tests.support import postgres
from tests.support.learning_fleet import tiny_repository
from tests.support.needs import MOSQUITTO
from tests.support.postgres import Postgres

# The first two are hooks of pytest's.
from tests.support.skipping import pytest_runtest_makereport, pytest_terminal_summary, required  # noqa: F401
from tests.support.trained import TrainedTask, train_small
from tests.support.without_mosquitto import hide_mosquitto

SHAPE = (2, 3)
CLASSES = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options to pytest's."""
    parser.addoption(
        "--without-mosquitto",
        action="store_true",
        help="run as if Mosquitto were not installed, on the embedded broker (root)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Do what our options ask for."""
    if config.getoption("--without-mosquitto"):
        hide_mosquitto()


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker_kind(request: pytest.FixtureRequest) -> BrokerKind:
    """Every kind of broker that can be started, one after the other."""
    kind: BrokerKind = request.param
    if kind == "mosquitto":
        required(MOSQUITTO)
    return kind


@pytest.fixture(scope="session")
def tiny_weights() -> NDArray[np.float32]:
    """The tiny teacher's matrix: logits = input.reshape(n, 6) @ weights."""
    return np.random.default_rng(0).normal(size=(6, CLASSES)).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_teacher(tiny_weights: NDArray[np.float32]) -> bytes:
    """ONNX of a teacher with input (n, 2, 3) and logits (n, 4)."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["input"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "tiny-teacher",
        [value("input", TensorProto.FLOAT, ["n", *SHAPE])],
        [value("logits", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(tiny_weights, "weights")],
    )
    opset = helper.make_opsetid("", 17)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    return model.SerializeToString()


@pytest.fixture
def make_manifest() -> Callable[..., bundle_pb2.Manifest]:
    """Makes a manifest of two capacities, its blobs already in the repository."""

    def make(
        repository: Repository, *, release: int = 1, task: str = "tiny", teacher: bytes = b"onnx"
    ) -> bundle_pb2.Manifest:
        manifest = bundle_pb2.Manifest(format=MANIFEST_FORMAT, task=task, release=release)
        manifest.cloud.name = "tiny-teacher"
        manifest.cloud.onnx.CopyFrom(repository.add_model(teacher))
        manifest.golden.CopyFrom(repository.add(f"golden {release}".encode()))
        tested = bundle_pb2.AuditedThreshold(accept_threshold=0.1, kept=300)
        plan = bundle_pb2.GuaranteePlan(thresholds=[tested], inputs=400, dependence=1)
        calibration = bundle_pb2.Calibration(
            curves=[bundle_pb2.RoutingCurve(), bundle_pb2.RoutingCurve(guarantee=plan)],
            inputs=release,
        )
        manifest.calibration.CopyFrom(repository.add(calibration.SerializeToString()))
        for capacity in (1, 2):
            manifest.capacities.add(
                template=repository.add(f"template {capacity}".encode()),
                template_int8=repository.add(f"template {capacity}, signed".encode()),
                ring=repository.add(bytes(range(256)) * 400 * capacity),
                memory_bytes=10_000 * capacity,
            )
        return manifest

    return make


@pytest.fixture
def released(
    tmp_path: Path, tiny_teacher: bytes, make_manifest: Callable[..., bundle_pb2.Manifest]
) -> Path:
    """Folder of a repository with the tiny teacher and release 1 in it."""
    folder = tmp_path / "repository"
    repository = Repository(folder)
    repository.release(make_manifest(repository, teacher=tiny_teacher))
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedTask:
    """A small version of the wearable task, trained once: task, splits, repository folder."""
    return train_small(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a repository with the tiny task's bundle; copy it before writing to it."""
    return tiny_repository(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server of the tests' own."""
    with postgres.running() as started:
        yield started
