"""Serves cloud models over real gRPC, in the test's process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from nestling.inference.v2 import inference_pb2_grpc
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.serving.inference import InferenceService
from nestling_cloud.serving.served_models import ServedModels


@asynccontextmanager
async def inference(*models: CloudModel, threads: int | None = None) -> AsyncIterator[int]:
    """Serve models, whose versions are "1a", "2a" and so on."""
    server = grpc.aio.server()
    versions = [(f"{number}a", model) for number, model in enumerate(models, start=1)]
    async with ServedModels(versions, threads) as served:
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceService(served), server
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        yield port
        await server.stop(None)
