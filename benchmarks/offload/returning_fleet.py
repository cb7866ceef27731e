"""Lets a fleet come back to a server at once, after an outage.

Each client has a connection of its own, the device's own back-off, and asks about one input after
another. An input that the cloud does not answer is answered by the client itself, as on a device.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import grpc

from benchmarks.offload.load import request_of
from benchmarks.offload.server import serving
from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling_device.inference.backoff import Backoff
from nestling_device.transport.grpc_channel import retry_ms

_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    # As a device: it tries a lost connection again with its next offload, not by itself later.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_BEFORE_S, _OUTAGE_S, _AFTER_S = 8.0, 10.0, 25.0
_DEADLINE_S = 1.0
# The share of failed offloads in a second below which the fleet counts as calm.
_CALM = 0.01
_BEFORE = -1


@dataclass(kw_only=True)
class Fleet:
    """What the clients saw.

    Attributes:
        inputs: the number of inputs that were answered, by the cloud or by the client itself.
        offloads: by the second, counted from the server's return, the number of tried offloads.
        failures: by the same seconds, the number of offloads that failed.
        answers: for each input of each client, how often the cloud answered it.
    """

    inputs: int = 0
    offloads: Counter[int] = field(default_factory=Counter)
    failures: Counter[int] = field(default_factory=Counter)
    answers: Counter[tuple[int, int]] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class ReturnResult:
    """The results of an outage.

    Attributes:
        lost: the number of inputs that nobody answered.
        doubled: the number of inputs that the cloud answered more than once.
        calm_s: the time from the server's return until at most 1 % of the offloads of a second
            fail, for good.
        worst_failed: the largest share of failed offloads in a second after the return, %.
        offloads: the number of offloads after the return.
    """

    lost: int
    doubled: int
    calm_s: float
    worst_failed: float
    offloads: int


async def measure_return(
    onnx: bytes, *, threads: int, clients: int, interval_s: float
) -> ReturnResult:
    """Return what happens when a server returns to a fleet after ten seconds.

    Args:
        onnx: the ONNX file of the teacher.
        threads: the number of runs of the server at the same time.
        clients: the number of clients.
        interval_s: the time between two inputs of a client.
    """
    fleet, done = Fleet(), asyncio.Event()
    back_s = time.perf_counter() + _BEFORE_S + _OUTAGE_S
    with serving(onnx, threads=threads) as port:
        started = [
            asyncio.create_task(
                _Client(
                    number=number, port=port, interval_s=interval_s, back_s=back_s, fleet=fleet
                ).run(done)
            )
            for number in range(clients)
        ]
        await asyncio.sleep(_BEFORE_S)
    await asyncio.sleep(max(0.0, back_s - time.perf_counter()))
    with serving(onnx, threads=threads, port=port):
        await asyncio.sleep(_AFTER_S)
        done.set()
        asked = sum(await asyncio.gather(*started))
    seconds = range(int(_AFTER_S))
    failed = [fleet.failures[second] / max(1, fleet.offloads[second]) for second in seconds]
    restless = [second for second, share in zip(seconds, failed, strict=True) if share > _CALM]
    return ReturnResult(
        lost=asked - fleet.inputs,
        doubled=sum(count > 1 for count in fleet.answers.values()),
        calm_s=float(max(restless, default=-1) + 1),
        worst_failed=100 * max(failed),
        offloads=sum(fleet.offloads[second] for second in seconds),
    )


@dataclass(frozen=True, kw_only=True)
class _Client:
    """One of the clients.

    Attributes:
        number: the number of the client.
        port: the port of the server.
        interval_s: the time between two inputs.
        back_s: the time of the server's return.
        fleet: what all clients saw, to which the client adds.
    """

    number: int
    port: int
    interval_s: float
    back_s: float
    fleet: Fleet

    async def run(self, done: asyncio.Event) -> int:
        """Ask about one input after another until the end, and return how many there were."""
        draw = random.Random(self.number).random
        message, pause, retry_at_s, asked = request_of(self.number), Backoff(), 0.0, 0
        await asyncio.sleep(self.interval_s * draw())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=_OPTIONS) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            while not done.is_set():
                started_s, asked = time.perf_counter(), asked + 1
                if started_s < retry_at_s or not pause.over:
                    pause = pause.after_input()
                elif (wait_s := await self._offload(stub, message, asked)) is None:
                    pause = Backoff()
                else:
                    pause = pause.after_failure(draw())
                    retry_at_s = started_s + wait_s * (1 + draw())
                self.fleet.inputs += 1  # answered by the cloud, or by the device itself
                left_s = self.interval_s - (time.perf_counter() - started_s)
                await asyncio.sleep(max(0.0, left_s))
        return asked

    async def _offload(
        self,
        stub: "inference_pb2_grpc.GRPCInferenceServiceAsyncStub",
        message: inference_pb2.ModelInferRequest,
        asked: int,
    ) -> float | None:
        """Ask the server; return the time after which to ask again, or None after an answer."""
        since_s = time.perf_counter() - self.back_s
        second = int(since_s) if since_s >= 0 else _BEFORE
        self.fleet.offloads[second] += 1
        try:
            await stub.ModelInfer(message, timeout=_DEADLINE_S)
        except grpc.aio.AioRpcError as err:
            self.fleet.failures[second] += 1
            return (retry_ms(err) or 0) / 1000
        self.fleet.answers[self.number, asked] += 1
        return None
