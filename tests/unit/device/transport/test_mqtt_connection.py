import pytest

from nestling_device.transport.mqtt_connection import Message


@pytest.mark.parametrize(
    ("payload_bytes", "expected"),
    [(0, 1 + 1 + 4), (123, 1 + 1 + 127), (124, 1 + 2 + 128), (20_000, 1 + 3 + 20_004)],
)
def test_packet_size_is_that_of_an_mqtt_publish(payload_bytes: int, expected: int) -> None:
    assert Message("ab", bytes(payload_bytes)).packet_bytes == expected
