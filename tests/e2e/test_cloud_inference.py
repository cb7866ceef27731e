"""The cloud serves a generic client made of the Open Inference Protocol's stubs alone."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.inference.v2 import inference_pb2 as pb
from nestling.inference.v2 import inference_pb2_grpc
from tests.support import cloud_process
from tests.support.hand_bundle import hand_bundle, hand_repository
from tests.support.hand_models import first_values_model
from tests.support.processes import DEADLINE_S


@pytest.fixture
def stub(cloud_channel: grpc.Channel) -> inference_pb2_grpc.GRPCInferenceServiceStub:
    return inference_pb2_grpc.GRPCInferenceServiceStub(cloud_channel)


def raw_request(rows: NDArray[np.float32], model: str = "tiny-teacher") -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=model, id="42")
    request.inputs.add(name="input", datatype="FP32", shape=rows.shape)
    request.raw_input_contents.append(rows.tobytes())
    return request


def rows_of(seed: int, count: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, 2, 3)).astype(np.float32)


def raw_logits(response: pb.ModelInferResponse) -> NDArray[np.float32]:
    shape = tuple(response.outputs[0].shape)
    return np.frombuffer(response.raw_output_contents[0], np.float32).reshape(shape)


def test_server_and_model_are_described(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub,
) -> None:
    metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name="tiny-teacher"))

    assert stub.ServerLive(pb.ServerLiveRequest()).live
    assert stub.ServerReady(pb.ServerReadyRequest()).ready
    assert stub.ModelReady(pb.ModelReadyRequest(name="tiny-teacher")).ready
    assert not stub.ModelReady(pb.ModelReadyRequest(name="other")).ready
    server = stub.ServerMetadata(pb.ServerMetadataRequest())
    assert server.name == "nestling-cloud"
    assert {"statistics", "wire_form/int8", "wire_form/jpeg"} < set(server.extensions)
    (version,) = metadata.versions
    assert stub.ModelReady(pb.ModelReadyRequest(name="tiny-teacher", version=version)).ready
    assert not stub.ModelReady(pb.ModelReadyRequest(name="tiny-teacher", version="1")).ready
    assert (metadata.inputs[0].name, metadata.inputs[0].datatype) == ("input", "FP32")
    assert list(metadata.inputs[0].shape) == [-1, 2, 3]
    assert (metadata.outputs[0].name, list(metadata.outputs[0].shape)) == ("logits", [-1, 4])


def test_statistics_count_answers_inputs_runs_and_failures(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub,
) -> None:
    def statistics(name: str) -> list[pb.ModelStatistics]:
        return list(stub.ModelStatistics(pb.ModelStatisticsRequest(name=name)).model_stats)

    (before,) = statistics("tiny-teacher")
    for count in (1, 4):
        stub.ModelInfer(raw_request(rows_of(0, count=count)))
    (after,) = statistics("")

    assert after.inference_count - before.inference_count == 5
    assert after.execution_count - before.execution_count == 2
    done, done_before = after.inference_stats, before.inference_stats
    assert done.success.count - done_before.success.count == 2
    assert done.fail.count == done_before.fail.count
    assert done.compute_infer.ns > done_before.compute_infer.ns
    assert done.success.ns >= done.queue.ns + done.compute_infer.ns
    assert statistics("other") == []


def test_raw_request_gets_the_teachers_answer(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub, tiny_weights: NDArray[np.float32]
) -> None:
    rows = rows_of(0, count=3)

    response = stub.ModelInfer(raw_request(rows))

    assert (response.id, response.model_name) == ("42", "tiny-teacher")
    np.testing.assert_allclose(raw_logits(response), rows.reshape(3, 6) @ tiny_weights, rtol=1e-5)


def test_input_larger_than_the_usual_limit_is_answered(tmp_path: Path) -> None:
    width = 1_200_000  # floats, 4.8 MB
    row = np.arange(width, dtype=np.float32)[None]
    hand_repository(tmp_path / "repository", first_values_model(width, classes=4))
    name = hand_bundle()[0].cloud.name
    command = cloud_process.command(tmp_path / "repository", tmp_path / "receipts.sqlite", "--json")
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            cloud = cloud_process.start(process, tmp_path / "receipts.sqlite", log)
            with grpc.insecure_channel(cloud.grpc) as channel:
                answering = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
                response = answering.ModelInfer(raw_request(row, name), timeout=DEADLINE_S)
        finally:
            process.kill()

    np.testing.assert_array_equal(raw_logits(response), row[:, :4])


def test_typed_request_gets_a_typed_answer(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub, tiny_weights: NDArray[np.float32]
) -> None:
    rows = rows_of(1)
    request = pb.ModelInferRequest(model_name="tiny-teacher")
    tensor = request.inputs.add(name="input", datatype="FP32", shape=rows.shape)
    tensor.contents.fp32_contents.extend(rows.ravel().tolist())

    response = stub.ModelInfer(request)

    found = response.outputs[0].contents.fp32_contents
    np.testing.assert_allclose(found, (rows.reshape(1, 6) @ tiny_weights)[0], rtol=1e-5)


def test_concurrent_callers_get_their_own_answers(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub, tiny_weights: NDArray[np.float32]
) -> None:
    requests = [rows_of(seed, count=1 + seed % 4) for seed in range(64)]

    with ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(lambda rows: stub.ModelInfer(raw_request(rows)), requests))

    for rows, response in zip(requests, responses, strict=True):
        expected = rows.reshape(-1, 6) @ tiny_weights
        np.testing.assert_allclose(raw_logits(response), expected, rtol=1e-4, atol=1e-5)


def broken_requests() -> list[tuple[str, pb.ModelInferRequest, grpc.StatusCode, str]]:
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    unknown = raw_request(rows_of(0), model="other")
    shape = raw_request(np.zeros((1, 3, 2), np.float32))
    datatype = raw_request(rows_of(0))
    datatype.inputs[0].datatype = "INT8"
    size = raw_request(rows_of(0))
    size.raw_input_contents[0] += b"\0"
    infinite = raw_request(np.full((1, 2, 3), np.inf, np.float32))
    many = raw_request(np.zeros((100, 2, 3), np.float32))
    huge = raw_request(np.zeros((200_000, 2, 3), np.float32))
    overflowing = raw_request(np.full((1, 2, 3), 3e38, np.float32))
    return [
        ("range", overflowing, invalid, "no finite answer"),
        ("model", unknown, grpc.StatusCode.NOT_FOUND, "ready: 'tiny-teacher'"),
        ("shape", shape, invalid, "shape has to be [n, 2, 3]"),
        ("datatype", datatype, invalid, "has to be FP32"),
        ("size", size, invalid, "needs 24 bytes"),
        ("value", infinite, invalid, "has to be finite"),
        ("rows", many, invalid, "send 1 to 32 inputs"),
        ("message", huge, grpc.StatusCode.RESOURCE_EXHAUSTED, "4194304"),
    ]


def test_invalid_request_is_rejected_with_a_reason_and_the_service_continues(
    stub: inference_pb2_grpc.GRPCInferenceServiceStub,
) -> None:
    for what, request, code, message in broken_requests():
        with pytest.raises(grpc.RpcError) as raised:
            stub.ModelInfer(request)
        assert isinstance(raised.value, grpc.Call)
        assert (what, raised.value.code()) == (what, code)
        assert message in (raised.value.details() or "")

    assert stub.ModelInfer(raw_request(rows_of(0))).outputs
    long = raw_request(rows_of(0), model="m" * 4_000_000)
    with pytest.raises(grpc.RpcError, match="NOT_FOUND") as refused:
        stub.ModelInfer(long)
    assert len(str(refused.value)) < 1000
    with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
        stub.ModelMetadata(pb.ModelMetadataRequest(name="other"))
