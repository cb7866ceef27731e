from nestling_cloud.telemetry.host_presence import HostPresence
from nestling_core.telemetry.host_state import HostState

NOW_MS = 1000


def connected(now_ms: int = NOW_MS) -> HostPresence:
    presence = HostPresence()
    presence.connect(now_ms=now_ms)
    return presence


def death(timestamp_ms: int) -> bytes:
    return HostState(online=False, timestamp_ms=timestamp_ms).to_payload()


def test_will_and_birth_of_a_connection_share_a_timestamp() -> None:
    presence = HostPresence()

    will = presence.connect(now_ms=NOW_MS)

    assert will == HostState(online=False, timestamp_ms=NOW_MS)
    assert presence.birth() == HostState(online=True, timestamp_ms=NOW_MS)


def test_goodbye_carries_the_current_time() -> None:
    assert connected().goodbye(now_ms=NOW_MS + 5).timestamp_ms == NOW_MS + 5


def test_death_of_an_earlier_connection_republishes_the_birth() -> None:
    assert connected().receive(death(NOW_MS - 1), retained=False) == "publish birth"
    assert connected().receive(death(NOW_MS), retained=False) == "publish birth"


def test_retained_message_from_before_the_birth_is_ignored() -> None:
    assert connected().receive(death(NOW_MS - 1), retained=True) == "ignore"
    assert connected().receive(b"OFFLINE", retained=True) == "ignore"


def test_unreadable_message_republishes_the_birth() -> None:
    assert connected().receive(b"OFFLINE", retained=False) == "publish birth"


def test_births_are_ignored() -> None:
    other = HostState(online=True, timestamp_ms=NOW_MS + 1)

    assert connected().receive(connected().birth().to_payload(), retained=False) == "ignore"
    assert connected().receive(other.to_payload(), retained=False) == "ignore"


def test_newer_death_makes_the_host_reconnect_with_a_newer_timestamp() -> None:
    for retained in (True, False):
        presence = connected()

        reaction = presence.receive(death(NOW_MS + 5), retained=retained)

        assert reaction == "reconnect"
        assert presence.connect(now_ms=NOW_MS + 1).timestamp_ms == NOW_MS + 5
        assert presence.receive(death(NOW_MS + 5), retained=True) == "ignore"


def test_timestamps_do_not_go_back_with_the_clock() -> None:
    presence = connected()

    assert presence.goodbye(now_ms=1).timestamp_ms == NOW_MS
    assert presence.connect(now_ms=1).timestamp_ms == NOW_MS
