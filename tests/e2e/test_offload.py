"""The offloader with the cloud's inference service, and with servers that misbehave."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from nestling.inference.v2 import inference_pb2
from nestling.v1.bundle_pb2 import Manifest, WireForm
from nestling_cloud.cloud_model.model import CloudModel
from nestling_core.network.address import Address
from nestling_device.inference.grpc_offloader import GrpcOffloader
from nestling_device.inference.offloader import (
    BadAnswerError,
    DeadlineMissedError,
    OffloadRequest,
    OverloadedError,
    UnreachableError,
)
from nestling_sim.fleet.links import CuttableLink
from tests.support.background import background
from tests.support.inference import inference
from tests.support.wire import INT8, PLAIN, manifest_with

WINDOW = np.arange(6, dtype=np.float32).reshape(2, 3)
CLASSES = 4


def question(window: NDArray[np.float32]) -> OffloadRequest:
    return OffloadRequest(window=window, index=0, device_answer=None)


QUESTION = question(WINDOW)
PATIENT_MS = 20_000.0
PLAIN_ONLY = manifest_with()
CODED = manifest_with(PLAIN, INT8)
Rows = NDArray[np.float32]
Answer = Callable[[inference_pb2.ModelInferRequest], inference_pb2.ModelInferResponse]


@pytest.fixture
def cloud_port(tmp_path: Path, tiny_teacher: bytes) -> Iterator[int]:
    path = tmp_path / "tiny-teacher.onnx"
    path.write_bytes(tiny_teacher)
    with background(lambda: inference(CloudModel("tiny-teacher", path))) as port:
        yield port


@contextmanager
def scripted(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """Run an inference service with scripted answers; yield its address and its callers'."""
    peers: list[str] = []

    def infer(
        request: inference_pb2.ModelInferRequest, context: grpc.ServicerContext
    ) -> inference_pb2.ModelInferResponse:
        peers.append(context.peer())
        return answer(request)

    handler = grpc.unary_unary_rpc_method_handler(
        infer,
        request_deserializer=inference_pb2.ModelInferRequest.FromString,
        response_serializer=inference_pb2.ModelInferResponse.SerializeToString,
    )
    service = "inference.GRPCInferenceService"
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {"ModelInfer": handler})]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}", peers
        server.stop(None).wait()


@contextmanager
def offloader(target: object, manifest: Manifest = PLAIN_ONLY) -> Iterator[GrpcOffloader]:
    made = GrpcOffloader(Address.parse(str(target)), manifest, device_id="pi-1")
    yield made
    made.close()


def sound(_request: inference_pb2.ModelInferRequest) -> inference_pb2.ModelInferResponse:
    response = inference_pb2.ModelInferResponse(raw_output_contents=[bytes(4 * CLASSES)])
    response.outputs.add(name="logits", datatype="FP32", shape=[1, CLASSES])
    return response


def oversized(_request: inference_pb2.ModelInferRequest) -> inference_pb2.ModelInferResponse:
    return inference_pb2.ModelInferResponse(raw_output_contents=[bytes(2 << 20)])


def broken(_request: inference_pb2.ModelInferRequest) -> inference_pb2.ModelInferResponse:
    raise RuntimeError("out of memory")


def test_answer_has_the_teachers_logits_and_their_cost(
    cloud_port: int, tiny_weights: NDArray[np.float32]
) -> None:
    with offloader(f"127.0.0.1:{cloud_port}") as cloud:
        answer = cloud.offload(QUESTION, deadline_ms=PATIENT_MS)

    np.testing.assert_allclose(WINDOW.reshape(6) @ tiny_weights, answer.logits, rtol=1e-5)
    assert WINDOW.nbytes < answer.bytes_up < WINDOW.nbytes + 300
    assert 4 * CLASSES < answer.bytes_down < 4 * CLASSES + 300
    assert answer.wall_ms > 0


def test_same_input_takes_the_same_bytes_every_time(cloud_port: int) -> None:
    with offloader(f"127.0.0.1:{cloud_port}") as cloud:
        answers = [cloud.offload(QUESTION, deadline_ms=PATIENT_MS) for _ in range(3)]

    assert len({(answer.bytes_up, answer.bytes_down) for answer in answers}) == 1


def test_input_in_the_bundles_form_takes_fewer_bytes_and_gets_the_same_answer(
    cloud_port: int, tiny_weights: NDArray[np.float32]
) -> None:
    window = np.array([[0.5, 0.4, 0.3], [-0.1, 0.2, 12.7]], np.float32)

    with offloader(f"127.0.0.1:{cloud_port}", CODED) as cloud:
        first, second = (cloud.offload(question(window), deadline_ms=PATIENT_MS) for _ in range(2))

    assert cloud.form.name == "int8"
    np.testing.assert_allclose(window.reshape(6) @ tiny_weights, second.logits, atol=0.5)
    # Only before the first input, the server is asked what it takes.
    assert second.bytes_up < first.bytes_up


def test_server_that_names_no_forms_gets_plain_floats() -> None:
    received: list[inference_pb2.ModelInferRequest] = []

    def keep(request: inference_pb2.ModelInferRequest) -> inference_pb2.ModelInferResponse:
        received.append(request)
        return sound(request)

    manifest = manifest_with(PLAIN, INT8)
    manifest.cloud.onnx.sha256 = "1a"
    with scripted(keep) as (target, _), offloader(target, manifest) as cloud:
        before = cloud.form.name
        cloud.offload(QUESTION, deadline_ms=PATIENT_MS)

    assert (before, cloud.form.name) == ("int8", "fp32")
    assert received[0].model_version == ""  # nor does it know versions by content
    assert received[0].inputs[0].datatype == "FP32"
    assert received[0].raw_input_contents[0] == WINDOW.tobytes()


def test_server_that_takes_less_is_asked_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted(sound) as (target, _), offloader(target, CODED) as cloud:
        cloud.offload(QUESTION, deadline_ms=PATIENT_MS)
        believed = cloud.form.name
        monkeypatch.setattr("nestling_device.inference.grpc_offloader._ASK_AGAIN_S", -1.0)
        hoped = cloud.form.name
        cloud.offload(QUESTION, deadline_ms=PATIENT_MS)

    assert (believed, hoped) == ("fp32", "int8")


def test_server_is_asked_again_after_it_refused_an_input(cloud_port: int) -> None:
    manifest = manifest_with(PLAIN, INT8)
    with offloader(f"127.0.0.1:{cloud_port}", manifest) as cloud:
        first = cloud.offload(QUESTION, deadline_ms=PATIENT_MS)
        with pytest.raises(BadAnswerError, match="INVALID_ARGUMENT"):
            cloud.offload(question(np.full((2, 3), 3e38, np.float32)), deadline_ms=PATIENT_MS)
        again = cloud.offload(QUESTION, deadline_ms=PATIENT_MS)

    assert again.bytes_up == first.bytes_up


def test_input_that_a_form_cannot_represent_is_sent_as_plain_floats(
    cloud_port: int, tiny_weights: NDArray[np.float32]
) -> None:
    half = WireForm(name="fp16", payload_bytes=12)
    large = 1e6 * WINDOW

    with offloader(f"127.0.0.1:{cloud_port}", manifest_with(PLAIN, half)) as cloud:
        answer = cloud.offload(question(large), deadline_ms=PATIENT_MS)

    np.testing.assert_allclose(large.reshape(6) @ tiny_weights, answer.logits, rtol=1e-5)


def test_first_call_after_every_outage_is_answered(cloud_port: int) -> None:
    with (
        CuttableLink("pi-1", "127.0.0.1", cloud_port) as link,
        offloader(link.address) as cloud,
    ):
        for _ in range(5):
            cloud.offload(QUESTION, deadline_ms=PATIENT_MS)
            link.cut()
            for _ in range(3):
                with pytest.raises(UnreachableError):
                    cloud.offload(QUESTION, deadline_ms=PATIENT_MS)
            link.restore()
        cloud.offload(QUESTION, deadline_ms=PATIENT_MS)


def test_link_cut_while_waiting_is_unreachable(tmp_path: Path) -> None:
    asked, done = threading.Event(), threading.Event()

    def wait(request: inference_pb2.ModelInferRequest) -> inference_pb2.ModelInferResponse:
        asked.set()
        done.wait()
        return sound(request)

    with scripted(wait) as (target, _), ThreadPoolExecutor(1) as pool:
        host, port = target.split(":")
        with CuttableLink("pi-1", host, int(port)) as link, offloader(link.address) as cloud:
            answer = pool.submit(cloud.offload, QUESTION, deadline_ms=PATIENT_MS)
            asked.wait()
            link.cut()
            with pytest.raises(UnreachableError):
                answer.result()
            done.set()


def test_wrong_shape_is_rejected_by_the_cloud(cloud_port: int) -> None:
    with (
        offloader(f"127.0.0.1:{cloud_port}") as cloud,
        pytest.raises(BadAnswerError, match="INVALID_ARGUMENT"),
    ):
        cloud.offload(question(WINDOW.T), deadline_ms=PATIENT_MS)


def test_unknown_model_is_rejected_by_the_cloud(cloud_port: int) -> None:
    with (
        offloader(f"127.0.0.1:{cloud_port}", manifest_with(model="another")) as cloud,
        pytest.raises(BadAnswerError, match="NOT_FOUND"),
    ):
        cloud.offload(QUESTION, deadline_ms=PATIENT_MS)


@pytest.mark.parametrize(
    ("answer", "status"), [(oversized, "RESOURCE_EXHAUSTED"), (broken, "UNKNOWN")]
)
def test_cloud_that_misbehaves_is_a_bad_answer(answer: Answer, status: str) -> None:
    with (
        scripted(answer) as (target, _),
        offloader(target) as cloud,
        pytest.raises(BadAnswerError, match=status),
    ):
        cloud.offload(QUESTION, deadline_ms=PATIENT_MS)


class SlowModel(CloudModel):
    """A teacher that takes its time."""

    running = threading.Event()

    def run(self, rows: Rows) -> Rows:
        self.running.set()
        threading.Event().wait(0.4)  # nobody sets it
        return super().run(rows)


def test_busy_cloud_that_cannot_answer_in_time_refuses_at_once(tiny_teacher: bytes) -> None:
    model = SlowModel("tiny-teacher", tiny_teacher)
    with (
        background(lambda: inference(model, threads=1)) as port,
        offloader(f"127.0.0.1:{port}") as patient,
        offloader(f"127.0.0.1:{port}") as hurried,
        ThreadPoolExecutor(1) as pool,
    ):
        patient.offload(QUESTION, deadline_ms=PATIENT_MS)  # from now on, it knows its speed
        model.running.clear()
        waiting = pool.submit(patient.offload, QUESTION, deadline_ms=PATIENT_MS)
        assert model.running.wait(PATIENT_MS)
        with pytest.raises(OverloadedError, match="too many requests wait") as refused:
            hurried.offload(QUESTION, deadline_ms=500)
        assert waiting.result().wall_ms > 0

    assert refused.value.retry_ms >= 50


def scaled(teacher: bytes, factor: float) -> CloudModel:
    """Return a version of the tiny teacher with other weights."""
    proto = onnx.ModelProto.FromString(teacher)
    (weights,) = proto.graph.initializer
    proto.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(factor * numpy_helper.to_array(weights), weights.name)
    )
    return CloudModel("tiny-teacher", proto.SerializeToString())


def test_device_gets_the_answers_of_its_own_bundles_teacher(
    tiny_teacher: bytes, tiny_weights: NDArray[np.float32]
) -> None:
    def answers(port: int, version: str) -> NDArray[np.float32]:
        manifest = manifest_with()
        manifest.cloud.onnx.sha256 = version
        with offloader(f"127.0.0.1:{port}", manifest) as cloud:
            return cloud.offload(QUESTION, deadline_ms=PATIENT_MS).logits

    versions = [scaled(tiny_teacher, factor) for factor in (1.0, 2.0)]
    with background(lambda: inference(*versions)) as port:
        old, new, any_version = (answers(port, version) for version in ("1a", "2a", ""))

    expected = WINDOW.reshape(6) @ tiny_weights
    np.testing.assert_allclose(old, expected, rtol=1e-5)
    np.testing.assert_allclose(new, 2 * expected, rtol=1e-5)
    np.testing.assert_allclose(any_version, new)


def test_device_whose_teacher_is_gone_asks_the_newest_one(
    cloud_port: int, tiny_weights: NDArray[np.float32]
) -> None:
    manifest = manifest_with()
    manifest.cloud.onnx.sha256 = "lost"
    with offloader(f"127.0.0.1:{cloud_port}", manifest) as cloud:
        with pytest.raises(BadAnswerError, match="version 'lost' here; ready: 'tiny-teacher'"):
            cloud.offload(QUESTION, deadline_ms=PATIENT_MS)
        answer = cloud.offload(QUESTION, deadline_ms=PATIENT_MS)

    np.testing.assert_allclose(WINDOW.reshape(6) @ tiny_weights, answer.logits, rtol=1e-5)


def test_missed_deadlines_are_reported_and_lead_to_a_new_connection() -> None:
    slow, done = threading.Event(), threading.Event()

    def wait(request: inference_pb2.ModelInferRequest) -> inference_pb2.ModelInferResponse:
        if slow.is_set():
            done.wait()
        return sound(request)

    with scripted(wait) as (target, peers), offloader(target) as cloud:
        cloud.offload(QUESTION, deadline_ms=PATIENT_MS)
        slow.set()
        for _ in range(3):
            with pytest.raises(DeadlineMissedError, match="within 20 ms"):
                cloud.offload(QUESTION, deadline_ms=20)
        slow.clear()
        done.set()
        cloud.offload(QUESTION, deadline_ms=PATIENT_MS)

    assert peers[0] != peers[-1]
