import pytest

from nestling_core.telemetry.host_state import HostState, read_host_state


def state(timestamp_ms: int, *, online: bool = True) -> HostState:
    return HostState(online=online, timestamp_ms=timestamp_ms)


@pytest.mark.parametrize("message", [state(0), state(1_700_000_000_000, online=False)])
def test_state_survives_its_payload(message: HostState) -> None:
    assert read_host_state(message.to_payload()) == message


def test_state_is_the_json_of_sparkplug_3() -> None:
    assert state(5, online=False).to_payload() == b'{"online": false, "timestamp": 5}'


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"ONLINE",
        b"\xff",
        b"[true, 5]",
        b'{"online": true}',
        b'{"timestamp": 5}',
        b'{"online": 1, "timestamp": 5}',
        b'{"online": true, "timestamp": "5"}',
        b'{"online": true, "timestamp": true}',
        b'{"online": true, "timestamp": 5.5}',
        b'{"online": true, "timestamp": -1}',
        b'{"online": true, "timestamp": 9007199254740992}',
        b'{"online": true, "timestamp": NaN}',
        b"[" * 200,
        b"[" * 100_000,
    ],
)
def test_invalid_state_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"STATE|online|timestamp"):
        read_host_state(payload)


def test_only_an_older_death_is_ignored_after_a_birth() -> None:
    assert not state(9, online=False).counts_after(state(10))
    assert state(10, online=False).counts_after(state(10))
    assert state(0).counts_after(None)
