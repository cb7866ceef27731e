"""Several inputs are sent to the cloud at once, and each gets its own result."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.cloud_model.model import CloudModel
from nestling_core.network.address import Address
from nestling_device.inference.grpc_offloader import GrpcOffloader
from nestling_device.inference.offloader import (
    BadAnswerError,
    CloudAnswer,
    DeadlineMissedError,
    OffloadError,
    OffloadRequest,
    OverloadedError,
    UnreachableError,
)
from nestling_sim.fleet.links import CuttableLink
from tests.support.background import background
from tests.support.inference import inference
from tests.support.wire import INT8, PLAIN, manifest_with

CLASSES = 4
COUNT = 16
PATIENT_MS = 20_000.0
PLAIN_ONLY = manifest_with()
CODED = manifest_with(PLAIN, INT8)
RNG = np.random.default_rng(7)
WINDOWS = RNG.normal(size=(COUNT, 2, 3)).astype(np.float32)
REQUESTS = [OffloadRequest(window=one, index=n, device_answer=n % 4) for n, one in enumerate(WINDOWS)]

Infer = Callable[
    [inference_pb2.ModelInferRequest, grpc.ServicerContext], inference_pb2.ModelInferResponse
]
Result = CloudAnswer | OffloadError


@pytest.fixture
def cloud_port(tmp_path: Path, tiny_teacher: bytes) -> Iterator[int]:
    path = tmp_path / "tiny-teacher.onnx"
    path.write_bytes(tiny_teacher)
    with background(lambda: inference(CloudModel("tiny-teacher", path))) as port:
        yield port


@contextmanager
def offloader(target: object, manifest: Manifest = PLAIN_ONLY) -> Iterator[GrpcOffloader]:
    made = GrpcOffloader(Address.parse(str(target)), manifest, device_id="pi-1")
    yield made
    made.close()


def answers_of(results: list[Result]) -> list[CloudAnswer]:
    """Return the answers, and fail if there is an error among them."""
    answers = [one for one in results if isinstance(one, CloudAnswer)]
    assert len(answers) == len(results), results
    return answers


def kinds(results: list[Result]) -> list[type[Result]]:
    return [type(one) for one in results]


def answer_of(request: inference_pb2.ModelInferRequest) -> inference_pb2.ModelInferResponse:
    """Answer with the index of the input as the first logit."""
    logits = np.zeros(CLASSES, "<f4")
    logits[0] = index_of(request)
    response = inference_pb2.ModelInferResponse(raw_output_contents=[logits.tobytes()])
    response.outputs.add(name="logits", datatype="FP32", shape=[1, CLASSES])
    return response


def index_of(request: inference_pb2.ModelInferRequest) -> int:
    return int(request.parameters["nestling-input-index"].int64_param)


@dataclass
class Service(inference_pb2_grpc.GRPCInferenceServiceServicer):
    """An inference service with scripted answers, which records what it was asked."""

    infer: Infer
    versions: list[str] = field(default_factory=list)
    metadata_calls: int = 0
    peers: list[str] = field(default_factory=list)

    def ServerMetadata(  # noqa: N802 - the name of the RPC
        self, _request: inference_pb2.ServerMetadataRequest, _context: grpc.ServicerContext
    ) -> inference_pb2.ServerMetadataResponse:
        self.metadata_calls += 1
        return inference_pb2.ServerMetadataResponse(
            extensions=["nestling.wire.int8", "nestling.versions.content"]
        )

    def ModelInfer(  # noqa: N802 - the name of the RPC
        self, request: inference_pb2.ModelInferRequest, context: grpc.ServicerContext
    ) -> inference_pb2.ModelInferResponse:
        self.versions.append(request.model_version)
        self.peers.append(context.peer())
        return self.infer(request, context)


@contextmanager
def serving(infer: Infer) -> Iterator[tuple[str, Service]]:
    """Run an inference service; yield its address and what it was asked."""
    service = Service(infer)
    with ThreadPoolExecutor(2 * COUNT) as pool:
        server = grpc.server(pool)
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}", service
        server.stop(None).wait()
