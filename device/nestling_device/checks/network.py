"""Can cloud and broker be reached, as the device would reach them?"""

import secrets
from contextlib import suppress
from datetime import UTC, datetime

import grpc

from nestling import topics
from nestling.address import Address
from nestling.host_state import HostState, read_host_state
from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling_device.channel import Channel
from nestling_device.checks.finding import Finding, Subject
from nestling_device.mqtt import BrokerUnreachableError, Connection
from nestling_device.obstacle import find_obstacle

_TIMEOUT_S = 5.0
_SETTINGS = {
    "cloud": "[cloud] address here, and nestling-cloud serve there",
    "broker": "[cloud] broker here; receipts wait on the disk meanwhile",
}
# What a broker keeps it hands over with the subscription.
_STATE_WAIT_S = 2.0


def cloud(subject: Subject) -> Finding:
    """Connect, and ask the cloud whether it is ready."""
    if not subject.config.cloud.address:
        return _unknown("cloud", "address")
    address = Address.parse(subject.config.cloud.address)
    if (blocked := _blocked("cloud", address, subject)) is not None:
        return blocked
    channel = Channel(address, subject.identity)
    try:
        stub = channel.stub(inference_pb2_grpc.GRPCInferenceServiceStub)
        answer = stub.ServerReady(inference_pb2.ServerReadyRequest(), timeout=_TIMEOUT_S)
    except grpc.RpcError as err:
        return Finding(
            check="cloud",
            level="fail",
            found=f"{address} is there and does not answer: {err.code().name}, {err.details()}",
            advice="enrol with this cloud (nestling-device enrol), and check the clock"
            if subject.identity is None or err.code() is grpc.StatusCode.UNAVAILABLE
            else "see the cloud's log",
        )
    finally:
        channel.close()
    if not answer.ready:
        advice = "release a bundle there, or wait until it has started"
        return Finding(check="cloud", level="fail", found=f"{address} not ready", advice=advice)
    return Finding(check="cloud", level="ok", found=f"{address} is ready{_how(subject)}")


def broker(subject: Subject) -> Finding:
    """Connect and subscribe, beside a device that runs."""
    if not subject.config.cloud.broker:
        return _unknown("broker", "broker")
    address = Address.parse(subject.config.cloud.broker)
    if (blocked := _blocked("broker", address, subject)) is not None:
        return blocked
    name = subject.config.device.id
    try:
        Connection(
            address.host,
            address.port,
            client_id=f"{name}-doctor-{secrets.token_hex(8)}",
            subscriptions=[topics.sparkplug("NCMD", name)],
            identity=subject.identity,
        ).close()
    except BrokerUnreachableError as err:
        return Finding(
            check="broker",
            level="fail",
            found=str(err),
            advice="check the network, [cloud] broker, and that this device has enrolled; "
            "receipts wait on the disk meanwhile",
        )
    return Finding(check="broker", level="ok", found=f"{address} lets us in{_how(subject)}")


def host(subject: Subject) -> Finding:
    """Hear what the broker says of the cloud that takes receipts in: Sparkplug's STATE."""
    address = subject.config.cloud.broker
    if not address:
        return _unknown("host", "broker")
    try:
        state = _host_state(subject, address)
    except BrokerUnreachableError:
        found = "nobody knows whether a cloud takes receipts in: the broker is out of reach"
        return Finding(check="host", level="warn", found=found, advice="see the broker's line")
    if state is not None and state.online:
        return Finding(check="host", level="ok", found="a cloud is online and takes receipts in")
    found = "has never been online" if state is None else f"is offline since {_utc(state)}"
    return Finding(
        check="host",
        level="fail",
        found=f"by what the broker {address} says, the cloud {found}; receipts stay here meanwhile",
        advice="start nestling-cloud serve with this broker, and see its log",
    )


def _host_state(subject: Subject, address: str) -> HostState | None:
    """What the broker keeps of the host's last word; None if it keeps nothing readable."""
    broker = Address.parse(address)
    with Connection(
        broker.host,
        broker.port,
        client_id=f"{subject.config.device.id}-doctor-{secrets.token_hex(8)}",
        subscriptions=[topics.HOST_STATE],
        identity=subject.identity,
    ) as connection:
        message = connection.receive(_STATE_WAIT_S)
    with suppress(ValueError):
        return None if message is None else read_host_state(message.payload)
    return None


def _utc(state: HostState) -> str:
    with suppress(ValueError, OverflowError, OSError):
        when = datetime.fromtimestamp(state.timestamp_ms / 1000, UTC)
        return f"{when:%Y-%m-%d %H:%M:%S} UTC"
    return f"{state.timestamp_ms} ms after 1970"


def _blocked(check: str, address: Address, subject: Subject) -> Finding | None:
    """What keeps this device from connecting, None if nothing does."""
    try:
        tls = subject.identity.ssl_context() if subject.identity else None
    except OSError as err:
        advice = "enrol this device again: nestling-device enrol"
        found = f"the identity cannot be used: {err}"
        return Finding(check=check, level="fail", found=found, advice=advice)
    obstacle = find_obstacle(address, tls)
    if obstacle is None:
        return None
    advice = f"{obstacle.advice}; see {_SETTINGS[check]}"
    return Finding(check=check, level="fail", found=obstacle.found, advice=advice)


def _unknown(check: str, key: str) -> Finding:
    return Finding(
        check=check,
        level="fail",
        found="it is not known where it is",
        advice=f"nestling-device enrol, or give [cloud] {key}",
    )


def _how(subject: Subject) -> str:
    return ", by mutual TLS" if subject.identity else ", without TLS"
