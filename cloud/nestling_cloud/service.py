"""The cloud as one process: inference and delivery over gRPC, delivery and ingest over MQTT."""

import asyncio
import contextlib
import dataclasses
import signal
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from dataclasses import dataclass
from pathlib import Path

import grpc

from nestling.inference.v2 import inference_pb2_grpc
from nestling.v1 import delivery_pb2_grpc, enrolment_pb2_grpc
from nestling_cloud.broker import Broker, BrokerKind, start_broker, start_secure_broker
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.connection import BrokerAddress
from nestling_cloud.fleet.addresses import FleetAddresses
from nestling_cloud.security import Security, needs_tls
from nestling_cloud.serving.batcher import Batcher
from nestling_cloud.serving.delivery import DeliveryService
from nestling_cloud.serving.enrolment import RenewalDesk, enrolling
from nestling_cloud.serving.inference import MAX_MESSAGE_BYTES, InferenceService
from nestling_cloud.serving.listener import ONE_SERVER_A_PORT, listening, tls_credentials
from nestling_cloud.serving.model import CloudModel
from nestling_cloud.serving.mqtt_delivery import MqttDelivery
from nestling_cloud.serving.peers import Gatekeeper, Peers
from nestling_cloud.telemetry.ingest import Ingest
from nestling_cloud.telemetry.store import Store, store_url

_BROKER_CHECK_S = 0.5
# A task that was told to end may say goodbye to the broker for so long.
_CANCEL_AGAIN_S = 2.0
# What the broker may take until devices are heard, before we say that we are ready.
_SUBSCRIBE_S = 5.0
_SERVER_OPTIONS = (("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ONE_SERVER_A_PORT)
_OPEN_BROKER_PORT = 1883
_SECURE_BROKER_PORT = 8883


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """What one cloud process serves, and where.

    Attributes:
        repository: folder of the releases.
        state: folder of what the cloud itself has to keep: receipts, credentials, authority.
        store: database URL or file of the receipts; None for receipts.sqlite in the state folder.
        host: where gRPC and the started broker listen. 127.0.0.1 is this machine only; what others
            can reach has TLS.
        port: its port; 0 takes a free one.
        tls: TLS and certificates even on this machine only.
        public_host: how devices reach this machine, if not by `host`.
        enrolment_port: where devices enrol, with TLS; 0 takes a free port.
        broker: a running broker; None starts one.
        broker_port: where the started one listens; 0 takes a free port, None is 1883, and 8883
            with TLS.
        broker_kind: which one to start.
    """

    repository: Path
    state: Path
    store: str | None = None
    host: str = "127.0.0.1"
    port: int = 8500
    tls: bool = False
    public_host: str | None = None
    enrolment_port: int = 8501
    broker: BrokerAddress | None = None
    broker_port: int | None = None
    broker_kind: BrokerKind = "auto"


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where a cloud is to be found, each HOST:PORT; `enrolment` only where there is TLS."""

    grpc: str
    broker: str
    enrolment: str | None = None


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
        security = stack.enter_context(_security(config))
        broker, own_broker = _join_broker(config, security, stack)
        ingest, delivery = Ingest(store, broker), MqttDelivery(repository, broker)
        works = [ingest.run(), delivery.run(), *([_watch(own_broker)] if own_broker else [])]
        if security is not None:
            works.append(security.keep_broker_told(own_broker))
        async with _running(works), _grpc(config, repository, model, security) as address:
            addresses = Addresses(grpc=address, broker=str(broker))
            async with _enrolment(config, security, addresses) as addresses:
                await _wait([ingest.subscribed, delivery.subscribed], timeout_s=_SUBSCRIBE_S)
                ready(addresses)
                await stop.wait()


def _store_url(config: ServeConfig) -> str:
    if config.store is not None:
        return store_url(config.store)
    config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    return store_url(str(config.state / "receipts.sqlite"))


def _load_model(repository: Repository) -> CloudModel:
    name = repository.manifest().cloud.name
    return CloudModel(name, repository.model_path(name))


def _security(config: ServeConfig) -> contextlib.AbstractContextManager[Security | None]:
    if not (config.tls or needs_tls(config.host, *([config.broker.host] if config.broker else []))):
        return contextlib.nullcontext()
    return Security.open(config.state, config.host, config.public_host)


def _join_broker(
    config: ServeConfig, security: Security | None, stack: contextlib.ExitStack
) -> tuple[BrokerAddress, Broker | None]:
    tls = None if security is None else security.client_files()
    if config.broker is not None:
        return dataclasses.replace(config.broker, tls=tls), None
    if security is None or tls is None:
        port = _OPEN_BROKER_PORT if config.broker_port is None else config.broker_port
        own = stack.enter_context(start_broker(port=port, kind=config.broker_kind))
    else:
        port = _SECURE_BROKER_PORT if config.broker_port is None else config.broker_port
        own = stack.enter_context(
            start_secure_broker(
                security.enrolment.broker,
                host=config.host,
                port=port,
                names=security.names,
                client=tls,
                kind=config.broker_kind,
            )
        )
    return BrokerAddress(host=own.host, port=own.port, tls=tls), own


@contextlib.asynccontextmanager
async def _grpc(
    config: ServeConfig, repository: Repository, model: CloudModel, security: Security | None
) -> AsyncIterator[str]:
    """Serve inference and delivery; yields where."""
    credentials, guards = None, []
    if security is not None:
        peers = Peers(security.enrolment.roster.name_of)
        credentials = tls_credentials(security.server_files, ask_for_certificate=True)
        guards = [Gatekeeper(peers)]
    server = grpc.aio.server(options=_SERVER_OPTIONS, interceptors=guards)
    async with Batcher(model.run) as batcher:
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceService(model.signature, batcher), server
        )
        delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(DeliveryService(repository), server)
        if security is not None:
            desk = RenewalDesk(security.enrolment, peers)
            enrolment_pb2_grpc.add_RenewalServiceServicer_to_server(desk, server)
        async with listening(server, config.host, config.port, credentials) as address:
            yield address


@contextlib.asynccontextmanager
async def _enrolment(
    config: ServeConfig, security: Security | None, found: Addresses
) -> AsyncIterator[Addresses]:
    """Let devices enrol where there is TLS; yields the addresses with that one."""
    if security is None:
        yield found
        return
    cloud, broker = security.public(found.grpc), security.public(found.broker)
    async with enrolling(
        security, config.host, config.enrolment_port, cloud=cloud, broker=broker
    ) as enrolment:
        public = security.public(enrolment)
        FleetAddresses(cloud=cloud, broker=broker, enrolment=public).write(config.state)
        yield Addresses(grpc=cloud, broker=broker, enrolment=public)


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
