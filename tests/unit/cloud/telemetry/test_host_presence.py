from nestling_cloud.telemetry.host_presence import HostPresence
from nestling_core.telemetry.host_state import HostState

NOW_MS = 1000


def connected(now_ms: int = NOW_MS) -> HostPresence:
    presence = HostPresence()
    presence.connect(now_ms=now_ms)
    return presence


def death(timestamp_ms: int) -> bytes:
    return HostState(online=False, timestamp_ms=timestamp_ms).to_payload()


def test_will_and_birth_of_a_connection_have_one_timestamp() -> None:
    presence = HostPresence()

    will = presence.connect(now_ms=NOW_MS)

    assert will == HostState(online=False, timestamp_ms=NOW_MS)
    assert presence.birth() == HostState(online=True, timestamp_ms=NOW_MS)


def test_goodbye_has_the_time_of_the_goodbye() -> None:
    assert connected().goodbye(now_ms=NOW_MS + 5).timestamp_ms == NOW_MS + 5


def test_death_of_an_earlier_connection_is_answered_with_the_birth_again() -> None:
    assert connected().hear(death(NOW_MS - 1), retained=False) == "say again"
    assert connected().hear(death(NOW_MS), retained=False) == "say again"


def test_what_was_said_before_the_birth_needs_no_answer() -> None:
    assert connected().hear(death(NOW_MS - 1), retained=True) == "nothing"
    assert connected().hear(b"OFFLINE", retained=True) == "nothing"


def test_unreadable_word_is_answered_with_the_birth() -> None:
    assert connected().hear(b"OFFLINE", retained=False) == "say again"


def test_births_need_no_answer() -> None:
    other = HostState(online=True, timestamp_ms=NOW_MS + 1)

    assert connected().hear(connected().birth().to_payload(), retained=False) == "nothing"
    assert connected().hear(other.to_payload(), retained=False) == "nothing"


def test_newer_death_is_outdone_by_a_new_connection() -> None:
    for retained in (True, False):
        presence = connected()

        answer = presence.hear(death(NOW_MS + 5), retained=retained)

        assert answer == "connect again"
        assert presence.connect(now_ms=NOW_MS + 1).timestamp_ms == NOW_MS + 5
        assert presence.hear(death(NOW_MS + 5), retained=True) == "nothing"


def test_clock_that_is_set_back_makes_nothing_older() -> None:
    presence = connected()

    assert presence.goodbye(now_ms=1).timestamp_ms == NOW_MS
    assert presence.connect(now_ms=1).timestamp_ms == NOW_MS
