"""Puts load on a server of the Open Inference Protocol, from one process with real connections."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import numpy as np

from benchmarks.offload.server import ECHO, MODEL
from benchmarks.offload.teacher import SHAPE
from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling_core.wire.choice import plain_form
from nestling_device.inference.offload_messages import ModelVersion, infer_request
from nestling_device.inference.offloader import OffloadRequest

_CONNECTIONS = 16
_OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
_TICK_S = 0.002


@dataclass(kw_only=True)
class Outcome:
    """What came of the requests.

    Attributes:
        seconds: the time over which requests were sent.
        sent: the number of requests.
        answered_s: the time of each answer, in seconds.
        failed: the number of failed requests, by status.
    """

    seconds: float
    sent: int = 0
    answered_s: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        """The number of answers per second."""
        return len(self.answered_s) / self.seconds

    @property
    def kept_promises(self) -> float:
        """The share of requests, of those not refused, that were answered by their deadline."""
        missed = self.failed["DEADLINE_EXCEEDED"]
        accepted = len(self.answered_s) + missed
        return len(self.answered_s) / accepted if accepted else 1.0


def request_of(device: int) -> inference_pb2.ModelInferRequest:
    """Return a request of a device, as a device makes it."""
    window = np.random.default_rng(device).normal(size=SHAPE).astype(np.float32)
    return infer_request(
        OffloadRequest(window=window, index=0, device_answer=None),
        plain_form(SHAPE),
        ModelVersion(MODEL, ""),
        device_id=f"device-{device}",
    )


async def ask_alone(port: int, calls: int) -> tuple[float, float]:
    """Return the median times of inference and of a bare call of a lone client, in ms.

    Both calls take turns.

    Args:
        port: the port of the server.
        calls: the number of calls of each kind.
    """
    message = request_of(0)
    times: tuple[list[float], list[float]] = ([], [])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        infer = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        echo = channel.unary_unary(
            ECHO,
            request_serializer=inference_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=inference_pb2.ModelInferResponse.FromString,
        )
        for number in range(2 * calls):
            started_s = time.perf_counter()
            await (echo(message) if number % 2 else infer(message))
            times[number % 2].append(time.perf_counter() - started_s)
    served, bare = (1e3 * float(np.median(taken[calls // 10 :])) for taken in times)
    return served, bare


async def ask_in_turn(port: int, clients: int, seconds: float) -> Outcome:
    """Let clients ask without a deadline, each as soon as it has its answer.

    Args:
        port: the port of the server.
        clients: the number of clients.
        seconds: the time after which no further request is sent.
    """
    outcome = Outcome(seconds=seconds)
    end_s = time.perf_counter() + seconds
    async with _stubs(port) as stubs:

        async def client(number: int) -> None:
            message = request_of(number)
            while time.perf_counter() < end_s:
                started_s = time.perf_counter()
                await stubs[number % _CONNECTIONS].ModelInfer(message)
                if time.perf_counter() < end_s:
                    outcome.answered_s.append(time.perf_counter() - started_s)

        await asyncio.gather(*(client(number) for number in range(clients)))
    return outcome


async def ask_at_rate(
    port: int, rate: float, seconds: float, deadline_s: float, devices: int = 64
) -> Outcome:
    """Send requests at a constant rate, whatever becomes of them.

    Args:
        port: the port of the server.
        rate: the number of requests per second.
        seconds: the time for which requests are sent.
        deadline_s: the deadline of each request.
        devices: the number of devices that the requests come from.
    """
    outcome, tasks = Outcome(seconds=seconds), set()  # type: tuple[Outcome, set[asyncio.Task[None]]]
    messages = [request_of(number) for number in range(devices)]
    async with _stubs(port) as stubs:

        async def ask(number: int) -> None:
            started_s = time.perf_counter()
            try:
                stub, message = stubs[number % _CONNECTIONS], messages[number % devices]
                await stub.ModelInfer(message, timeout=deadline_s)
            except grpc.aio.AioRpcError as err:
                outcome.failed[err.code().name] += 1
            else:
                outcome.answered_s.append(time.perf_counter() - started_s)

        started_s = time.perf_counter()
        while (passed_s := time.perf_counter() - started_s) < seconds:
            while outcome.sent < passed_s * rate:
                tasks.add(asyncio.create_task(ask(outcome.sent)))
                outcome.sent += 1
            await asyncio.sleep(_TICK_S)
        await asyncio.gather(*tasks)
    return outcome


@asynccontextmanager
async def _stubs(
    port: int,
) -> AsyncIterator[Sequence["inference_pb2_grpc.GRPCInferenceServiceAsyncStub"]]:
    """Open several connections to a server."""
    channels = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OWN_CONNECTION)
        for _ in range(_CONNECTIONS)
    ]
    yield [inference_pb2_grpc.GRPCInferenceServiceStub(channel) for channel in channels]
    await asyncio.gather(*(channel.close() for channel in channels))
