"""The cloud as one process: inference, delivery, ingest and the console."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path

import grpc

from nestling.inference.v2 import inference_pb2_grpc
from nestling.v1 import delivery_pb2_grpc
from nestling_cloud.broker import Broker, BrokerKind, start_broker
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.connection import BrokerAddress
from nestling_cloud.console.password import CONSOLE_FOLDER, first_password
from nestling_cloud.console.server import ConsoleAddress, ConsoleServer
from nestling_cloud.errors import CloudError
from nestling_cloud.serving.batcher import Batcher
from nestling_cloud.serving.delivery import DeliveryService
from nestling_cloud.serving.inference import MAX_MESSAGE_BYTES, InferenceService
from nestling_cloud.serving.model import CloudModel
from nestling_cloud.serving.mqtt_delivery import MqttDelivery
from nestling_cloud.telemetry.ingest import Ingest
from nestling_cloud.telemetry.store import Store, store_url

# What calls in flight may take to end.
_GRACE_S = 1.0
_BROKER_CHECK_S = 0.5
# A task that was told to end may say goodbye to the broker for so long.
_CANCEL_AGAIN_S = 2.0
# What the broker may take until devices are heard, before we say that we are ready.
_SUBSCRIBE_S = 5.0
_SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Otherwise a second cloud on the same port would start, and get half of the calls.
    ("grpc.so_reuseport", 0),
)


class ServeError(CloudError):
    """A service that cannot start."""


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """What one cloud process serves, and where.

    Attributes:
        repository: folder of the releases.
        state: folder of what the cloud itself has to keep: receipts, credentials, authority.
        store: database URL or file of the receipts; None for receipts.sqlite in the state folder.
        host: where gRPC listens; 127.0.0.1 is this machine only.
        port: its port; 0 takes a free one.
        broker: a running broker; None starts one on 127.0.0.1.
        broker_port: where the started one listens; 0 takes a free port.
        broker_kind: which one to start.
        console: where the console and the API listen; None for neither.
    """

    repository: Path
    state: Path
    store: str | None = None
    host: str = "127.0.0.1"
    port: int = 8500
    broker: BrokerAddress | None = None
    broker_port: int = 1883
    broker_kind: BrokerKind = "auto"
    console: ConsoleAddress | None = None


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where a cloud is to be found.

    Attributes:
        grpc: HOST:PORT.
        broker: HOST:PORT.
        console: URL, None where there is none.
        console_password: the one that was just made, None after the first start.
    """

    grpc: str
    broker: str
    console: str | None = None
    console_password: str | None = None


def run(config: ServeConfig, ready: Callable[[Addresses], None]) -> None:
    """Serve until SIGTERM or SIGINT; see `serve`. For the main thread."""

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(config, ready, stop)

    asyncio.run(until_signalled())


async def serve(
    config: ServeConfig, ready: Callable[[Addresses], None], stop: asyncio.Event
) -> None:
    """Serve until `stop` is set.

    Args:
        config: what and where.
        ready: called once, when every port listens.
        stop: ends everything, within seconds.

    Raises:
        CloudError: no bundle, no broker, a taken port, a store that does not open, or a broker
            of our own that died.
    """
    repository = Repository(config.repository)
    model = _load_model(repository)
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(Store(_store_url(config)))
        console = _open_console(config, stack)
        broker, own_broker = _join_broker(config, stack)
        ingest, delivery = Ingest(store, broker), MqttDelivery(repository, broker)
        async with _grpc_server(config, repository, model) as address:
            works = [ingest.run(), delivery.run(), *([_watch(own_broker)] if own_broker else [])]
            addresses = Addresses(grpc=address, broker=str(broker))
            if console is not None:
                works.append(_run_console(console, config, addresses, store))
                addresses = _with_console(addresses, console, config)
            async with _running(works):
                await _wait([ingest.subscribed, delivery.subscribed], timeout_s=_SUBSCRIBE_S)
                ready(addresses)
                await stop.wait()


def _open_console(config: ServeConfig, stack: contextlib.ExitStack) -> ConsoleServer | None:
    if config.console is None:
        return None
    return stack.enter_context(ConsoleServer(config.console, tls=None))


def _with_console(addresses: Addresses, console: ConsoleServer, config: ServeConfig) -> Addresses:
    password = first_password(config.state / CONSOLE_FOLDER)
    return replace(addresses, console=console.url, console_password=password)


async def _run_console(
    console: ConsoleServer, config: ServeConfig, addresses: Addresses, store: Store
) -> None:
    # A second of imports, which commands without a console need not wait for.
    from nestling_cloud.console.app import console_app  # noqa: PLC0415
    from nestling_cloud.console.parts import console_parts  # noqa: PLC0415

    parts = console_parts(
        Repository(config.repository), store, grpc=addresses.grpc, broker=addresses.broker
    )
    folder = config.state / CONSOLE_FOLDER
    app = console_app(parts, folder, local_only=console.local_only, secure=console.secure)
    await console.run(app)


def _store_url(config: ServeConfig) -> str:
    if config.store is not None:
        return store_url(config.store)
    config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    return store_url(str(config.state / "receipts.sqlite"))


def _load_model(repository: Repository) -> CloudModel:
    name = repository.manifest().cloud.name
    return CloudModel(name, repository.model_path(name))


def _join_broker(
    config: ServeConfig, stack: contextlib.ExitStack
) -> tuple[BrokerAddress, Broker | None]:
    if config.broker is not None:
        return config.broker, None
    own = stack.enter_context(start_broker(port=config.broker_port, kind=config.broker_kind))
    return BrokerAddress(host=own.host, port=own.port), own


@contextlib.asynccontextmanager
async def _grpc_server(
    config: ServeConfig, repository: Repository, model: CloudModel
) -> AsyncIterator[str]:
    """Serve inference and delivery; yields where."""
    server = grpc.aio.server(options=_SERVER_OPTIONS)
    async with Batcher(model.run) as batcher:
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceService(model.signature, batcher), server
        )
        delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(DeliveryService(repository), server)
        try:
            port = server.add_insecure_port(f"{config.host}:{config.port}")
        except RuntimeError as err:
            raise ServeError(
                f"cannot listen on {config.host}:{config.port}: the port is taken or not ours; "
                "choose another one"
            ) from err
        await server.start()
        try:
            yield f"{config.host}:{port}"
        finally:
            await server.stop(_GRACE_S)


@contextlib.asynccontextmanager
async def _running(works: list[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run some work beside the body; the first error ends all of it and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            try:
                yield
            finally:
                await _cancel(tasks, again_after_s=_CANCEL_AGAIN_S)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors


async def _cancel(tasks: Collection[asyncio.Task[None]], *, again_after_s: float) -> None:
    """Cancel tasks until they end.

    Once is not enough: `asyncio.wait_for` of Python 3.11, which aiomqtt waits with, loses a
    cancellation that comes in the same moment as what it waits for.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=again_after_s)


async def _wait(events: list[asyncio.Event], *, timeout_s: float) -> None:
    """Wait for all events, but not for ever: a broker of somebody else's may come later."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            for event in events:
                await event.wait()


async def _watch(broker: Broker) -> None:
    """Raise BrokerError when the broker that we started has died."""
    while True:
        broker.check()
        await asyncio.sleep(_BROKER_CHECK_S)
