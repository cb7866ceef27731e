"""Several inputs are sent to the cloud at once, and each gets its own result."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from nestling import offload_parameters
from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.cloud_model.model import CloudModel
from nestling_core.kinds.kind import Answer
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
REQUESTS = [
    OffloadRequest(window=one, index=n, device_answer=Answer(n % 4))
    for n, one in enumerate(WINDOWS)
]

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
    return int(request.parameters[offload_parameters.INPUT_INDEX].int64_param)


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
            extensions=[
                *offload_parameters.wire_form_extensions(["int8"]),
                offload_parameters.CONTENT_VERSIONS,
            ]
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
    service = Service(infer)  # type: ignore[abstract]  # no device calls the other methods
    with ThreadPoolExecutor(2 * COUNT) as pool:
        server = grpc.server(pool)
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}", service
        server.stop(None).wait()


def with_status(code: grpc.StatusCode, *indices: int, retry_ms: int | None = None) -> Infer:
    """Return answers of a service that refuses the inputs with these indices."""

    def infer(
        request: inference_pb2.ModelInferRequest, context: grpc.ServicerContext
    ) -> inference_pb2.ModelInferResponse:
        if index_of(request) not in indices:
            return answer_of(request)
        if retry_ms is not None:
            context.set_trailing_metadata(((offload_parameters.RETRY_AFTER_MS, str(retry_ms)),))
        context.abort(code, "not this one")
        raise AssertionError("abort raises")

    return infer


def sound(
    request: inference_pb2.ModelInferRequest, _context: grpc.ServicerContext
) -> inference_pb2.ModelInferResponse:
    return answer_of(request)


def test_every_input_gets_its_own_answer(
    cloud_port: int, tiny_weights: NDArray[np.float32]
) -> None:
    with offloader(f"127.0.0.1:{cloud_port}") as cloud:
        answers = answers_of(cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS))

    np.testing.assert_allclose(
        WINDOWS.reshape(COUNT, 6) @ tiny_weights,
        [answer.logits for answer in answers],
        rtol=1e-4,
        atol=1e-5,
    )
    assert all(answer.wall_ms > 0 for answer in answers)


def test_answers_are_in_the_order_of_the_inputs_whichever_comes_first() -> None:
    last_is_answered = threading.Event()

    def last_first(
        request: inference_pb2.ModelInferRequest, _context: grpc.ServicerContext
    ) -> inference_pb2.ModelInferResponse:
        if index_of(request) == COUNT - 1:
            last_is_answered.set()
        assert last_is_answered.wait(PATIENT_MS)  # so all of them are on their way at once
        return answer_of(request)

    with serving(last_first) as (target, _), offloader(target) as cloud:
        answers = answers_of(cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS))

    assert [int(answer.logits[0]) for answer in answers] == [*range(COUNT)]


def test_no_inputs_need_no_cloud() -> None:
    with offloader("127.0.0.1:9", PLAIN_ONLY) as cloud:
        assert cloud.offload_all([], deadline_ms=PATIENT_MS) == []


def test_bytes_add_up_to_those_of_single_offloads(cloud_port: int) -> None:
    def count(answers: list[CloudAnswer]) -> tuple[int, int]:
        return sum(one.bytes_up for one in answers), sum(one.bytes_down for one in answers)

    with offloader(f"127.0.0.1:{cloud_port}", CODED) as cloud:
        together = answers_of(cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS))
    with offloader(f"127.0.0.1:{cloud_port}", CODED) as cloud:
        single = [cloud.offload(request, deadline_ms=PATIENT_MS) for request in REQUESTS]

    assert count(together) == count(single)


def test_server_is_asked_once_what_it_takes() -> None:
    with serving(sound) as (target, service), offloader(target, CODED) as cloud:
        first = answers_of(cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS))
        again = answers_of(cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS))
        cloud.offload(REQUESTS[0], deadline_ms=PATIENT_MS)

    assert service.metadata_calls == 1
    assert cloud.form.name == "int8"
    assert first[0].bytes_up > first[1].bytes_up == again[0].bytes_up


@pytest.mark.parametrize("place", [0, 3, COUNT - 1])
def test_bad_input_among_good_ones_gets_the_only_error(cloud_port: int, place: int) -> None:
    requests = [*REQUESTS]
    requests[place] = OffloadRequest(
        window=np.full((2, 3), 3e38, np.float32), index=place, device_answer=None
    )
    with offloader(f"127.0.0.1:{cloud_port}") as cloud:
        results = cloud.offload_all(requests, deadline_ms=PATIENT_MS)

    expected = [BadAnswerError if n == place else CloudAnswer for n in range(COUNT)]
    assert kinds(results) == expected
    assert "INVALID_ARGUMENT" in str(results[place])


@pytest.mark.parametrize("bad", [np.full(CLASSES, np.nan), np.zeros(CLASSES + 1)], ids=["nan", "5"])
def test_false_answer_of_the_cloud_is_an_error_for_its_input_only(bad: NDArray[np.float64]) -> None:
    def lie_once(
        request: inference_pb2.ModelInferRequest, _context: grpc.ServicerContext
    ) -> inference_pb2.ModelInferResponse:
        response = answer_of(request)
        if index_of(request) == 1:
            response.raw_output_contents[0] = bad.astype("<f4").tobytes()
        return response

    with serving(lie_once) as (target, _), offloader(target) as cloud:
        results = cloud.offload_all(REQUESTS[:3], deadline_ms=PATIENT_MS)

    assert kinds(results) == [CloudAnswer, BadAnswerError, CloudAnswer]


def test_overloaded_cloud_answers_what_it_can_and_names_the_time_for_the_rest() -> None:
    infer = with_status(grpc.StatusCode.RESOURCE_EXHAUSTED, 1, 2, retry_ms=1234)
    with serving(infer) as (target, _), offloader(target) as cloud:
        results = cloud.offload_all(REQUESTS[:4], deadline_ms=PATIENT_MS)

    assert kinds(results) == [CloudAnswer, OverloadedError, OverloadedError, CloudAnswer]
    waits = [one.retry_ms for one in results if isinstance(one, OverloadedError)]
    assert waits == [1234, 1234]


def test_inputs_without_an_answer_by_the_deadline_miss_it_and_the_others_do_not() -> None:
    done = threading.Event()

    def slow(
        request: inference_pb2.ModelInferRequest, context: grpc.ServicerContext
    ) -> inference_pb2.ModelInferResponse:
        if index_of(request) == 1:
            context.add_callback(done.set)
            done.wait()
        return answer_of(request)

    with serving(slow) as (target, _), offloader(target) as cloud:
        cloud.offload(REQUESTS[0], deadline_ms=PATIENT_MS)  # the connection takes time, too
        results = cloud.offload_all(REQUESTS[:3], deadline_ms=1000)

    assert kinds(results) == [CloudAnswer, DeadlineMissedError, CloudAnswer]


def test_group_that_misses_its_deadline_counts_as_one_miss() -> None:
    slow, done = threading.Event(), threading.Event()

    def wait(
        request: inference_pb2.ModelInferRequest, _context: grpc.ServicerContext
    ) -> inference_pb2.ModelInferResponse:
        if slow.is_set():
            done.wait()
        return answer_of(request)

    with serving(wait) as (target, service), offloader(target) as cloud:
        cloud.offload(REQUESTS[0], deadline_ms=PATIENT_MS)
        slow.set()
        late = cloud.offload_all(REQUESTS[:8], deadline_ms=50)
        slow.clear()
        done.set()
        cloud.offload(REQUESTS[0], deadline_ms=PATIENT_MS)
        once = len(set(service.peers))
        for _ in range(3):
            slow.set()
            done.clear()
            cloud.offload_all(REQUESTS[:8], deadline_ms=50)
            slow.clear()
            done.set()
        cloud.offload(REQUESTS[0], deadline_ms=PATIENT_MS)

    assert kinds(late) == [DeadlineMissedError] * 8
    assert once == 1  # a slow cloud would be slower still if devices reconnected
    assert len(set(service.peers)) == 2


def test_unreachable_cloud_is_an_error_for_each_and_the_first_group_after_it_is_answered(
    cloud_port: int,
) -> None:
    with (
        CuttableLink("pi-1", "127.0.0.1", cloud_port) as link,
        offloader(link.address, CODED) as cloud,
    ):
        for _ in range(3):
            answers_of(cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS))
            link.cut()
            for _ in range(2):
                lost = cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS)
                assert kinds(lost) == [UnreachableError] * COUNT
            link.restore()
        answers_of(cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS))


def test_link_cut_while_waiting_is_unreachable_for_each() -> None:
    asked, done = threading.Semaphore(0), threading.Event()

    def wait(
        request: inference_pb2.ModelInferRequest, _context: grpc.ServicerContext
    ) -> inference_pb2.ModelInferResponse:
        asked.release()
        done.wait()
        return answer_of(request)

    with serving(wait) as (target, _), ThreadPoolExecutor(1) as pool:
        host, port = target.split(":")
        with CuttableLink("pi-1", host, int(port)) as link, offloader(link.address) as cloud:
            results = pool.submit(cloud.offload_all, REQUESTS[:4], deadline_ms=PATIENT_MS)
            for _ in range(4):
                assert asked.acquire(timeout=PATIENT_MS)
            link.cut()
            assert kinds(results.result()) == [UnreachableError] * 4
            done.set()


def test_device_whose_teacher_is_gone_gets_the_answers_of_the_newest_one(cloud_port: int) -> None:
    manifest = manifest_with()
    manifest.cloud.onnx.sha256 = "lost"
    with offloader(f"127.0.0.1:{cloud_port}", manifest) as cloud:
        results = cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS)
        again = cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS)

    answers_of(results)
    answers_of(again)


def test_unknown_model_is_an_error_for_each(cloud_port: int) -> None:
    manifest = manifest_with(model="another")
    manifest.cloud.onnx.sha256 = "1a"
    with offloader(f"127.0.0.1:{cloud_port}", manifest) as cloud:
        results = cloud.offload_all(REQUESTS, deadline_ms=PATIENT_MS)

    assert kinds(results) == [BadAnswerError] * COUNT
    assert all("NOT_FOUND" in str(one) for one in results)
