from nestling_cloud.console.parts import device_start
from nestling_cloud.serving.config import Addresses


def test_open_cloud_is_reached_by_a_device_on_its_machine() -> None:
    start = device_start(Addresses(grpc="127.0.0.1:8500", broker="127.0.0.1:1883"))

    assert start.command == "nestling-device run --cloud 127.0.0.1:8500 --broker 127.0.0.1:1883"
    assert "this machine" in start.told


def test_cloud_with_tls_is_reached_by_enrolling_first() -> None:
    found = Addresses(grpc="c.lan:8500", broker="c.lan:8883", enrolment="c.lan:8501")

    assert device_start(found).command == "nestling-cloud device add NAME"
