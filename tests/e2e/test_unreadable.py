"""Unreadable messages are rejected, and thousands of them make few log lines."""

import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import grpc
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from nestling import topics
from nestling.v1 import delivery_pb2, delivery_pb2_grpc
from nestling_device.transport.mqtt_connection import Connection, Message
from tests.support.cloud_process import Cloud, StartCloud
from tests.support.edge_node import Node, batch_of
from tests.support.processes import DEADLINE_S, until

RUBBISH = b"\xff\xff\xff"
MANY = 1500
_METHODS = (
    "/inference.GRPCInferenceService/ModelInfer",
    "/nestling.v1.DeliveryService/GetDesiredBundle",
)
# A first line, a tenth, a hundredth and a thousandth for each kind of message.
LONGEST_LOG_BYTES = 4000


def ask(channel: grpc.Channel, method: str) -> grpc.RpcError:
    """Call a method with bytes that are no valid request."""
    call: Any = channel.unary_unary(method)
    with pytest.raises(grpc.RpcError) as caught:
        call(RUBBISH, timeout=30)
    return caught.value


def test_unreadable_request_is_an_invalid_argument(
    cloud: Cloud, cloud_channel: grpc.Channel
) -> None:
    codes = [ask(cloud_channel, method).code() for method in _METHODS]
    fetch: Any = cloud_channel.unary_stream("/nestling.v1.DeliveryService/FetchBlob")
    with pytest.raises(grpc.RpcError) as caught:
        list(fetch(RUBBISH))
    codes.append(caught.value.code())

    assert codes == [grpc.StatusCode.INVALID_ARGUMENT] * 3
    assert "Traceback" not in cloud.log.read_text()
    stub = delivery_pb2_grpc.DeliveryServiceStub(cloud_channel)
    assert stub.GetDesiredBundle(delivery_pb2.GetDesiredBundleRequest(device_id="pi-1"))


def test_thousands_of_unreadable_requests_make_few_log_lines(
    cloud: Cloud, cloud_channel: grpc.Channel
) -> None:
    for _ in range(MANY):
        ask(cloud_channel, _METHODS[0])

    assert "1,000 so far" in cloud.log.read_text()
    assert cloud.log.stat().st_size < LONGEST_LOG_BYTES


def test_thousands_of_unreadable_messages_on_the_broker_make_few_log_lines(cloud: Cloud) -> None:
    host, port = cloud.broker.host, cloud.broker.port
    node = Node(host, port)
    node.birth()
    line = mqtt.Client(CallbackAPIVersion.VERSION2)
    line.connect(host, port)
    line.loop_start()
    for _ in range(MANY):  # one by one, because a broker drops what exceeds its queue for the cloud
        for topic in (topics.delivery_request("pi-9"), topics.sparkplug("NDATA", "pi-9")):
            line.publish(topic, RUBBISH, qos=1).wait_for_publish(DEADLINE_S)
    line.disconnect()
    line.loop_stop()
    node.data(1, batch_of(1))

    assert node.acknowledged() == ("outbox", 1)  # everything before has been read
    until(lambda: cloud.log.read_text().count("1,000 so far") == 2)
    assert cloud.log.stat().st_size < LONGEST_LOG_BYTES
    node.close()


def test_thousands_of_broken_web_requests_make_few_log_lines(start_cloud: StartCloud) -> None:
    cloud = start_cloud("--console-port", "0")
    url = urlsplit(cloud.console)
    for _ in range(MANY):
        with socket.create_connection((url.hostname, url.port), timeout=30) as line:
            line.sendall(b"\xff\xff\r\n\r\n")
            assert b" 400 " in line.recv(1000)

    assert cloud.log.stat().st_size < LONGEST_LOG_BYTES


def test_message_with_an_invalid_topic_is_dropped_and_the_next_one_received() -> None:
    accepted, subscribed = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x01"
    unreadable, readable = b"\x30\x06\x00\x02\xff\xfexx", b"\x30\x05\x00\x01axx"

    def play_broker(listener: socket.socket) -> None:
        line, _ = listener.accept()
        with line:
            line.recv(1000)
            line.sendall(accepted + subscribed + unreadable + readable)
            while line.recv(1000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        broker = threading.Thread(target=play_broker, args=(listener,))
        broker.start()
        host, port = listener.getsockname()
        with Connection(host, port, client_id="pi-1", subscriptions=["a"]) as connection:
            assert connection.receive(30) == Message("a", b"xx")
        broker.join()
