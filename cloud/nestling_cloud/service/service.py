"""Runs the cloud's services in one process.

The services are inference, delivery of bundles, enrolment, storing telemetry, sending commands to
devices, and the console.
"""

import asyncio
import contextlib
import dataclasses
import signal
from collections.abc import AsyncIterator, Callable, Coroutine

import grpc

from nestling.inference.v2 import inference_pb2_grpc
from nestling.v1 import delivery_pb2_grpc, enrolment_pb2_grpc
from nestling_cloud.bundles.repository import Repository
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
from nestling_cloud.serving.connection_limiter import (
    limit_connections,
    raise_file_limit,
    total_for,
)
from nestling_cloud.serving.delivery import DeliveryService
from nestling_cloud.serving.enrolment import RenewalServicer, enrolling
from nestling_cloud.serving.inference import InferenceService, OnAnswer, max_message_bytes
from nestling_cloud.serving.listener import (
    HANDSHAKE_DEADLINE,
    ONE_SERVER_A_PORT,
    listening,
    tls_credentials,
)
from nestling_cloud.serving.mqtt_delivery import MqttDelivery
from nestling_cloud.serving.peers import IdentityInterceptor, Peers
from nestling_cloud.serving.recorder import recorder_of
from nestling_cloud.serving.served_models import ServedModels
from nestling_cloud.serving.unreadable_requests import UnreadableRequestInterceptor
from nestling_cloud.store.store import Store, state_store_url
from nestling_cloud.task_group import running, wait_for
from nestling_cloud.telemetry.ingest import Ingest
from nestling_core.network.address import Address
from nestling_core.network.hosts import is_loopback

_BROKER_CHECK_S = 0.5
# The longest wait for the broker subscriptions before the cloud reports that it is ready.
_SUBSCRIBE_S = 5.0
_SERVER_OPTIONS = (HANDSHAKE_DEADLINE, ONE_SERVER_A_PORT)
_OPEN_BROKER_PORT = 1883
_SECURE_BROKER_PORT = 8883


def run(config: ServeConfig, ready: Callable[[Addresses], None]) -> None:
    """Run the services until SIGTERM or SIGINT.

    This function must run in the main thread.

    Args:
        config: the configuration of the services.
        ready: a function that is called once with the addresses, when every port is open.

    Raises:
        CloudError: the services cannot start or continue, see `serve`.
    """

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(config, ready, stop)

    asyncio.run(until_signalled())


async def serve(
    config: ServeConfig, ready: Callable[[Addresses], None], stop: asyncio.Event
) -> None:
    """Run the services until `stop` is set.

    Args:
        config: the configuration of the services.
        ready: a function that is called once with the addresses, when every port is open.
        stop: the event that ends all services within seconds.

    Raises:
        CloudError: the services cannot start or continue. For example, there is no bundle or no
            broker, a port is taken, the store cannot be opened, or the broker that this process
            started has ended.
    """
    raise_file_limit()
    repository = Repository(config.repository)
    models = ServedModels.of_release(repository, config.threads)
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(Store(state_store_url(config.state, config.store)))
        security = stack.enter_context(_security(config))
        console = _open_console(config, security, stack)
        broker, own_broker = _join_broker(config, security, stack)
        commander = Commander(Targets(store), repository)
        ingest = Ingest(store, broker, on_message=commander.pending.record_report)
        delivery = MqttDelivery(repository, broker)
        recorder = recorder_of(
            store, repository, per_device=config.keep_per_device, forbidden=config.keep_no_inputs
        )

        def works() -> list[Coroutine[None, None, None]]:
            made = [ingest.run(), delivery.run(), recorder.run(), models.watch(repository)]
            made.append(commander.run(ingest.command))
            if own_broker is not None:
                made.append(_watch(own_broker))
            if security is not None:
                made.append(security.keep_broker_updated(own_broker))
                made.append(mark_removed_offline(security.enrolment.roster, store))
            return made

        async with (
            # Ports come first, so that a taken one ends everything before we use the broker.
            _grpc(config, repository, models, security, recorder.offer) as address,
            _enrolment(config, security, address, broker) as addresses,
            running(works()),
            running(
                _console_work(
                    console, config, addresses, store, ingest=ingest, models=models, stack=stack
                )
            ),
            running(_connection_limits(security, addresses, console)),
        ):
            await wait_for([ingest.subscribed, delivery.subscribed], timeout_s=_SUBSCRIBE_S)
            ready(_with_console(addresses, console, config, security))
            await stop.wait()


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
    models: ServedModels,
    security: Security | None,
    on_answer: OnAnswer,
) -> AsyncIterator[Address]:
    """Serve inference and delivery and, with TLS, also the renewal of certificates.

    Yields:
        The address of these services.
    """
    credentials, identity = None, []
    if security is not None:
        peers = Peers(security.enrolment.roster.name_of)
        credentials = tls_credentials(security.server_files, ask_for_certificate=True)
        identity = [IdentityInterceptor(peers)]
    largest = ("grpc.max_receive_message_length", max_message_bytes(models.newest.signature))
    options = (largest, *_SERVER_OPTIONS)
    server = grpc.aio.server(
        options=options, interceptors=[UnreadableRequestInterceptor(), *identity]
    )
    async with models:
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceService(models, on_answer), server
        )
        delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(DeliveryService(repository), server)
        if security is not None:
            renewal = RenewalServicer(security.enrolment, peers)
            enrolment_pb2_grpc.add_RenewalServiceServicer_to_server(renewal, server)
        async with listening(server, config.host, config.port, credentials) as address:
            yield address


@contextlib.asynccontextmanager
async def _enrolment(
    config: ServeConfig, security: Security | None, grpc_address: Address, broker: BrokerAddress
) -> AsyncIterator[Addresses]:
    """Serve enrolment if TLS is used.

    The addresses are then also saved in the state folder, where `device add` reads them.

    Yields:
        The addresses of all services but the console.
    """
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
    addresses: Addresses,
    console: ConsoleServer | None,
    config: ServeConfig,
    security: Security | None,
) -> Addresses:
    if console is None:
        return addresses
    password = first_password(config.state / CONSOLE_FOLDER)
    url = console.url(security.public_host if security is not None else "")
    return dataclasses.replace(addresses, console=url, console_password=password)


def _console_work(
    console: ConsoleServer | None,
    config: ServeConfig,
    addresses: Addresses,
    store: Store,
    *,
    ingest: Ingest,
    models: ServedModels,
    stack: contextlib.ExitStack,
) -> list[Coroutine[None, None, None]]:
    if console is None:
        return []
    # These imports take a second, which a cloud without a console does not need.
    from nestling_cloud.console.app import console_app  # noqa: PLC0415
    from nestling_cloud.console.data.console_data import console_parts, device_start  # noqa: PLC0415
    from nestling_cloud.console.data.stored_rounds import StoredRounds  # noqa: PLC0415

    rounds = StoredRounds(
        stack.enter_context(RoundLog(state_store_url(config.state, config.store)))
    )
    start = device_start(
        grpc=addresses.grpc, broker=addresses.broker, enrolment=addresses.enrolment
    )
    served, repository = (lambda: models.all), Repository(config.repository)
    parts = console_parts(repository, store, rounds, start, uplink=ingest.uplink, served=served)
    folder = config.state / CONSOLE_FOLDER
    app = console_app(parts, folder, local_only=console.local_only, secure=console.secure)
    return [console.run(app)]


def _connection_limits(
    security: Security | None, addresses: Addresses, console: ConsoleServer | None
) -> list[Coroutine[None, None, None]]:
    """Return a list with the coroutine that limits connections, or an empty list without TLS."""
    if security is None:
        return []
    listening_at = [addresses.grpc, addresses.enrolment or ""]
    ports = {Address.parse(address).port for address in listening_at if address}
    if console is not None:
        ports.add(console.port)
    total = total_for(raise_file_limit())
    return [limit_connections(ports, total=total)]


async def _watch(broker: Broker) -> None:
    """Raise BrokerError as soon as the broker that this process started has ended."""
    while True:
        broker.check()
        await asyncio.sleep(_BROKER_CHECK_S)
