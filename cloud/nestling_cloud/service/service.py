"""The cloud as one process: inference, delivery, enrolment, ingest, commands and the console."""

import asyncio
import contextlib
import dataclasses
import signal
from collections.abc import AsyncIterator, Callable, Coroutine

import grpc

from nestling.inference.v2 import inference_pb2_grpc
from nestling.v1 import delivery_pb2_grpc, enrolment_pb2_grpc
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.cloud_model.model import CloudModel
from nestling_cloud.console.auth.password import CONSOLE_FOLDER, first_password
from nestling_cloud.console.server import ConsoleServer
from nestling_cloud.control.commander import Commander
from nestling_cloud.control.offline_sweep import mark_removed_offline
from nestling_cloud.control.targets import Targets
from nestling_cloud.federated.round_log import RoundLog
from nestling_cloud.fleet.addresses import FleetAddresses
from nestling_cloud.fleet.listeners import Security
from nestling_cloud.mqtt.broker_process import Broker, start_broker, start_secure_broker
from nestling_cloud.mqtt.client import BrokerAddress
from nestling_cloud.service.config import Addresses, ServeConfig
from nestling_cloud.serving.batcher import Batcher
from nestling_cloud.serving.connection_limiter import (
    PER_PEER,
    limit_connections,
    raise_file_limit,
    total_for,
)
from nestling_cloud.serving.delivery import DeliveryService
from nestling_cloud.serving.enrolment import RenewalServicer, enrolling
from nestling_cloud.serving.inference import Answered, InferenceService, max_message_bytes
from nestling_cloud.serving.listener import (
    HANDSHAKE_DEADLINE,
    ONE_SERVER_A_PORT,
    listening,
    tls_credentials,
)
from nestling_cloud.serving.mqtt_delivery import MqttDelivery
from nestling_cloud.serving.peers import IdentityInterceptor, Peers
from nestling_cloud.serving.recorder import HardInputRecorder
from nestling_cloud.serving.unreadable_requests import UnreadableRequestInterceptor
from nestling_cloud.store.hard_inputs import HardInputs
from nestling_cloud.store.store import Store, state_store_url
from nestling_cloud.task_group import running, wait_for
from nestling_cloud.telemetry.ingest import Ingest
from nestling_core.network.address import Address
from nestling_core.network.hosts import is_loopback

_BROKER_CHECK_S = 0.5
# What the broker may take until devices are heard, before we say that we are ready.
_SUBSCRIBE_S = 5.0
_SERVER_OPTIONS = (HANDSHAKE_DEADLINE, ONE_SERVER_A_PORT)
_OPEN_BROKER_PORT = 1883
_SECURE_BROKER_PORT = 8883


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
    raise_file_limit()
    repository = Repository(config.repository)
    model = _load_model(repository)
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(Store(state_store_url(config.state, config.store)))
        security = stack.enter_context(_security(config))
        console = _open_console(config, security, stack)
        broker, own_broker = _join_broker(config, security, stack)
        commander = Commander(Targets(store), repository)
        ingest = Ingest(store, broker, heard=commander.record_report)
        delivery = MqttDelivery(repository, broker)
        recorder = HardInputRecorder(HardInputs(store).add_all)

        def works() -> list[Coroutine[None, None, None]]:
            made = [ingest.run(), delivery.run(), recorder.run(), commander.run(ingest.command)]
            if own_broker is not None:
                made.append(_watch(own_broker))
            if security is not None:
                made.append(security.keep_broker_told(own_broker))
                made.append(mark_removed_offline(security.enrolment.roster, store))
            return made

        async with (
            # First the ports: one that is taken ends everything before anybody talks to the broker.
            _grpc(config, repository, model, security, recorder.offer) as address,
            _enrolment(config, security, address, broker) as found,
            running(works()),
            running(_console_work(console, config, found, store, ingest=ingest, stack=stack)),
            running(_guarding(security, found, console)),
        ):
            await wait_for([ingest.subscribed, delivery.subscribed], timeout_s=_SUBSCRIBE_S)
            ready(_with_console(found, console, config, security))
            await stop.wait()


def _load_model(repository: Repository) -> CloudModel:
    name = repository.manifest().cloud.name
    return CloudModel(name, repository.read_model(name))


def _security(config: ServeConfig) -> contextlib.AbstractContextManager[Security | None]:
    if not config.wants_tls:
        return contextlib.nullcontext()
    return Security.open(config.state, config.exposed_host, config.public_host)


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
    config: ServeConfig,
    repository: Repository,
    model: CloudModel,
    security: Security | None,
    answered: Answered,
) -> AsyncIterator[Address]:
    """Serve inference and delivery; yields where."""
    credentials, guards = None, []
    if security is not None:
        peers = Peers(security.enrolment.roster.name_of)
        credentials = tls_credentials(security.server_files, ask_for_certificate=True)
        guards = [IdentityInterceptor(peers)]
    largest = ("grpc.max_receive_message_length", max_message_bytes(model.signature))
    options = (largest, *_SERVER_OPTIONS)
    server = grpc.aio.server(
        options=options, interceptors=[UnreadableRequestInterceptor(), *guards]
    )
    async with Batcher(model.run) as batcher:
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceService(model.signature, batcher, answered), server
        )
        delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(DeliveryService(repository), server)
        if security is not None:
            desk = RenewalServicer(security.enrolment, peers)
            enrolment_pb2_grpc.add_RenewalServiceServicer_to_server(desk, server)
        async with listening(server, config.host, config.port, credentials) as address:
            yield address


@contextlib.asynccontextmanager
async def _enrolment(
    config: ServeConfig, security: Security | None, grpc_address: Address, broker: BrokerAddress
) -> AsyncIterator[Addresses]:
    """Let devices enrol where there is TLS; yields where everything is to be found."""
    if security is None:
        yield Addresses(grpc=str(grpc_address), broker=str(broker))
        return
    cloud, public_broker = security.public(grpc_address), security.public(broker)
    async with enrolling(
        security, config.host, config.enrolment_port, cloud=cloud, broker=public_broker
    ) as enrolment:
        public = security.public(enrolment)
        FleetAddresses(cloud=cloud, broker=public_broker, enrolment=public).write(config.state)
        yield Addresses(grpc=cloud, broker=public_broker, enrolment=public)


def _open_console(
    config: ServeConfig, security: Security | None, stack: contextlib.ExitStack
) -> ConsoleServer | None:
    if config.console is None:
        return None
    exposed = security is not None and not is_loopback(config.console.host)
    tls = security.server_files if security is not None and exposed else None
    return stack.enter_context(ConsoleServer(config.console, tls))


def _with_console(
    found: Addresses, console: ConsoleServer | None, config: ServeConfig, security: Security | None
) -> Addresses:
    if console is None:
        return found
    password = first_password(config.state / CONSOLE_FOLDER)
    url = console.url(security.public_host if security is not None else "")
    return dataclasses.replace(found, console=url, console_password=password)


def _console_work(
    console: ConsoleServer | None,
    config: ServeConfig,
    found: Addresses,
    store: Store,
    *,
    ingest: Ingest,
    stack: contextlib.ExitStack,
) -> list[Coroutine[None, None, None]]:
    if console is None:
        return []
    # A second of imports, which a cloud without a console need not wait for.
    from nestling_cloud.console.app import console_app  # noqa: PLC0415
    from nestling_cloud.console.data.console_data import console_parts, device_start  # noqa: PLC0415
    from nestling_cloud.console.data.stored_rounds import StoredRounds  # noqa: PLC0415

    rounds = StoredRounds(
        stack.enter_context(RoundLog(state_store_url(config.state, config.store)))
    )
    repository = Repository(config.repository)
    start = device_start(grpc=found.grpc, broker=found.broker, enrolment=found.enrolment)
    parts = console_parts(repository, store, rounds, start, ingest.uplink)
    folder = config.state / CONSOLE_FOLDER
    app = console_app(parts, folder, local_only=console.local_only, secure=console.secure)
    return [console.run(app)]


def _guarding(
    security: Security | None, found: Addresses, console: ConsoleServer | None
) -> list[Coroutine[None, None, None]]:
    """Hold those who connect from elsewhere to the number of connections that there is room for."""
    if security is None:
        return []
    listening_at = [found.grpc, found.enrolment or ""]
    ports = {int(address.rpartition(":")[2]) for address in listening_at if address}
    if console is not None:
        ports.add(console.port)
    total = total_for(raise_file_limit())
    return [limit_connections(ports, per_peer=PER_PEER, total=total)]


async def _watch(broker: Broker) -> None:
    """Raise BrokerError when the broker that we started has died."""
    while True:
        broker.check()
        await asyncio.sleep(_BROKER_CHECK_S)
