"""Can cloud and broker be reached, as the device would reach them?"""

import secrets
import socket

import grpc

from nestling import topics
from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling_device.address import split_address
from nestling_device.channel import Channel
from nestling_device.checks.finding import Finding, Subject
from nestling_device.mqtt import BrokerUnreachableError, Connection

_TIMEOUT_S = 5.0


def cloud(subject: Subject) -> Finding:
    """Connect, and ask the cloud whether it is ready."""
    address = subject.config.cloud.address
    if not address:
        return _unknown("cloud", "address")
    fault = _dial(address)
    if fault:
        return Finding(
            check="cloud",
            level="fail",
            found=f"{address}: {fault}",
            advice="check the network, [cloud] address, and that nestling-cloud serve runs there",
        )
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
        channel.drop()
    if not answer.ready:
        advice = "release a bundle there, or wait until it has started"
        return Finding(check="cloud", level="fail", found=f"{address} not ready", advice=advice)
    return Finding(check="cloud", level="ok", found=f"{address} is ready{_how(subject)}")


def broker(subject: Subject) -> Finding:
    """Connect and subscribe, beside a device that runs."""
    address = subject.config.cloud.broker
    if not address:
        return _unknown("broker", "broker")
    host, port = split_address(address)
    name = subject.config.device.id
    try:
        Connection(
            host,
            port,
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


def _dial(address: str) -> str:
    """Say what keeps TCP from connecting, empty if nothing does."""
    try:
        socket.create_connection(split_address(address), timeout=_TIMEOUT_S).close()
    except OSError as err:
        return err.strerror or str(err)
    return ""


def _unknown(check: str, key: str) -> Finding:
    return Finding(
        check=check,
        level="fail",
        found="it is not known where it is",
        advice=f"nestling-device enrol, or give [cloud] {key}",
    )


def _how(subject: Subject) -> str:
    return ", by mutual TLS" if subject.identity else ", without TLS"
