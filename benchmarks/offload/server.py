"""Serves a teacher in a process of its own, as `nestling-cloud serve` does, without the rest."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import grpc

from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.serving.inference import InferenceService
from nestling_cloud.serving.served_models import ServedModels

MODEL = "teacher"
ECHO = "/benchmark.Echo/Call"
"""A method that takes an inference request and returns a constant answer."""
_START_S = 60
_ANSWER = inference_pb2.ModelInferResponse(model_name=MODEL, raw_output_contents=[bytes(28)])


@contextlib.contextmanager
def serving(onnx: bytes, *, threads: int, port: int = 0) -> Iterator[int]:
    """Serve a teacher until the end of the block, and yield its port.

    Args:
        onnx: the ONNX file of the teacher.
        threads: the number of runs at the same time.
        port: the port to listen on; 0 picks a free one.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(onnx, threads, port, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(_START_S):
            raise TimeoutError("the server did not start")
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def _serve(onnx: bytes, threads: int, port: int, ready: Connection) -> None:
    asyncio.run(_run(onnx, threads, port, ready))


async def _run(onnx: bytes, threads: int, port: int, ready: Connection) -> None:
    server = grpc.aio.server()
    async with ServedModels([("1", CloudModel(MODEL, onnx))], threads) as models:
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceService(models), server
        )
        server.add_generic_rpc_handlers([_echo()])
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        ready.send(bound)
        await server.wait_for_termination()


def _echo() -> grpc.GenericRpcHandler:
    async def answer(
        request: inference_pb2.ModelInferRequest, context: Any
    ) -> inference_pb2.ModelInferResponse:
        del request, context
        return _ANSWER

    service, method = ECHO.strip("/").split("/")
    handler = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=inference_pb2.ModelInferRequest.FromString,
        response_serializer=inference_pb2.ModelInferResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(service, {method: handler})
