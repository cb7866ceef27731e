"""Checks the connections to the cloud and the broker, with the device's own client code."""

import secrets
from contextlib import suppress
from datetime import UTC, datetime

import grpc

from nestling import topics
from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling_core.network.address import Address
from nestling_core.telemetry.host_state import HostState, read_host_state
from nestling_device.doctor.finding import CheckedDevice, Finding
from nestling_device.transport.connection_diagnosis import find_connection_problem
from nestling_device.transport.grpc_channel import Channel
from nestling_device.transport.mqtt_connection import BrokerUnreachableError, Connection

_TIMEOUT_S = 5.0
_SETTINGS = {
    "cloud": "[cloud] address on this device, and nestling-cloud serve on the cloud's machine",
    "broker": "[cloud] broker on this device; receipts wait on the disk meanwhile",
}
# Long enough: a broker sends retained messages right after the subscription.
_STATE_WAIT_S = 2.0


def cloud(subject: CheckedDevice) -> Finding:
    """Return a finding that says whether the cloud can be reached and is ready."""
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
            found=f"{address} accepts connections but does not answer: {err.code().name}, "
            f"{err.details()}",
            advice="enrol with this cloud (nestling-device enrol), and check the clock"
            if subject.identity is None or err.code() is grpc.StatusCode.UNAVAILABLE
            else "check the cloud's log",
        )
    finally:
        channel.close()
    if not answer.ready:
        advice = "release a bundle in the cloud, or wait until it has started"
        return Finding(check="cloud", level="fail", found=f"{address} is not ready", advice=advice)
    return Finding(check="cloud", level="ok", found=f"{address} is ready{_how(subject)}")


def broker(subject: CheckedDevice) -> Finding:
    """Return a finding that says whether the broker accepts this device.

    The check does not disconnect a running device.
    """
    if not subject.config.cloud.broker:
        return _unknown("broker", "broker")
    address = Address.parse(subject.config.cloud.broker)
    if (blocked := _blocked("broker", address, subject)) is not None:
        return blocked
    try:
        _connect(subject, address, topics.sparkplug("NCMD", subject.config.device.id)).close()
    except BrokerUnreachableError as err:
        return Finding(
            check="broker",
            level="fail",
            found=str(err),
            advice="check the network, [cloud] broker, and that this device has enrolled; "
            "receipts wait on the disk meanwhile",
        )
    return Finding(
        check="broker", level="ok", found=f"{address} accepts this device{_how(subject)}"
    )


def host(subject: CheckedDevice) -> Finding:
    """Return a finding that says whether a cloud is online and accepts receipts.

    The answer comes from the Sparkplug STATE message that the broker retains.
    """
    if not subject.config.cloud.broker:
        return _unknown("host", "broker")
    address = Address.parse(subject.config.cloud.broker)
    try:
        state = _host_state(subject, address)
    except BrokerUnreachableError:
        found = "it is not known whether a cloud is online: the broker cannot be reached"
        return Finding(
            check="host", level="warn", found=found, advice="see the check of the broker"
        )
    if state is not None and state.online:
        return Finding(check="host", level="ok", found="a cloud is online and accepts receipts")
    found = "has never been online" if state is None else f"has been offline since {_utc(state)}"
    return Finding(
        check="host",
        level="fail",
        found=f"according to the broker {address}, the cloud {found}; receipts wait on the disk",
        advice="start nestling-cloud serve with this broker, and check its log",
    )


def _connect(subject: CheckedDevice, address: Address, topic: str) -> Connection:
    """Connect to the broker, subscribe to a topic, and return the connection.

    The client id is used by no other connection. A broker closes the older of two connections with
    the same id, so reusing the running device's id would disconnect the device.
    """
    return Connection(
        address.host,
        address.port,
        client_id=f"{subject.config.device.id}-doctor-{secrets.token_hex(8)}",
        subscriptions=[topic],
        identity=subject.identity,
    )


def _host_state(subject: CheckedDevice, address: Address) -> HostState | None:
    """Return the STATE message that the broker retains.

    The result is None if no message arrives within two seconds, or if it cannot be parsed.
    """
    with _connect(subject, address, topics.HOST_STATE) as connection:
        message = connection.receive(_STATE_WAIT_S)
    with suppress(ValueError):
        return None if message is None else read_host_state(message.payload)
    return None


def _utc(state: HostState) -> str:
    with suppress(ValueError, OverflowError, OSError):
        when = datetime.fromtimestamp(state.timestamp_ms / 1000, UTC)
        return f"{when:%Y-%m-%d %H:%M:%S} UTC"
    return f"{state.timestamp_ms} ms after 1970"


def _blocked(check: str, address: Address, subject: CheckedDevice) -> Finding | None:
    """Return a finding about a problem that prevents a connection, or None if it succeeds.

    Args:
        check: the name of the check.
        address: the address of the cloud or broker.
        subject: the device to check.
    """
    try:
        tls = subject.identity.ssl_context() if subject.identity else None
    except OSError as err:
        advice = "enrol this device again: nestling-device enrol"
        found = f"the identity cannot be used: {err}"
        return Finding(check=check, level="fail", found=found, advice=advice)
    problem = find_connection_problem(address, tls)
    if problem is None:
        return None
    advice = f"{problem.advice}; see {_SETTINGS[check]}"
    return Finding(check=check, level="fail", found=problem.problem, advice=advice)


def _unknown(check: str, key: str) -> Finding:
    return Finding(
        check=check,
        level="fail",
        found="its address is not configured",
        advice=f"run nestling-device enrol, or set [cloud] {key}",
    )


def _how(subject: CheckedDevice) -> str:
    return ", by mutual TLS" if subject.identity else ", without TLS"
