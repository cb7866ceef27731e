from nestling_cloud.console.data.console_data import device_start


def test_cloud_without_tls_starts_a_device_on_its_machine() -> None:
    start = device_start(grpc="127.0.0.1:8500", broker="127.0.0.1:1883", enrolment=None)

    assert start.command == "nestling-device run --cloud 127.0.0.1:8500 --broker 127.0.0.1:1883"
    assert "this machine" in start.instruction


def test_cloud_with_tls_enrols_a_device_first() -> None:
    start = device_start(grpc="c.lan:8500", broker="c.lan:8883", enrolment="c.lan:8501")

    assert start.command == "nestling-cloud device add NAME"
