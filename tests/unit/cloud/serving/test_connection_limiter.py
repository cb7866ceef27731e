from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.serving.connection_limiter import Peer, excess, total_for


def peer(host: str, port: int) -> Peer:
    return Peer(host=host, port=port, local_port=8500)


def seen(**counts: int) -> dict[Peer, float]:
    """Make connections by host, each first seen a second after the previous one."""
    return {
        peer(host, port): float(port) for host, count in counts.items() for port in range(count)
    }


def test_nothing_is_shut_down_within_the_limits() -> None:
    assert excess({}, per_peer=3, total=5) == []
    assert excess(seen(a=3, b=2), per_peer=3, total=5) == []


def test_youngest_connections_of_a_peer_are_shut_down() -> None:
    since = {peer("a", 1): 5.0, peer("a", 2): 1.0, peer("a", 3): 3.0, peer("b", 4): 9.0}

    assert excess(since, per_peer=2, total=100) == [peer("a", 1)]


def test_total_limit_is_shared_fairly_so_that_small_peers_keep_their_connections() -> None:
    gone = excess(seen(flood=100, house=3, porch=1), per_peer=1000, total=24)

    assert {each.host for each in gone} == {"flood"}
    assert len(gone) == 80


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 30), min_size=1),
    st.integers(1, 40),
    st.integers(6, 200),
)
def test_remaining_connections_are_within_both_limits_and_every_peer_keeps_one(
    counts: dict[str, int], per_peer: int, total: int
) -> None:
    since = seen(**counts)

    kept = set(since) - set(excess(since, per_peer=per_peer, total=total))

    by_host = {host: sum(each.host == host for each in kept) for host in counts}
    assert max(by_host.values()) <= per_peer
    assert len(kept) <= total
    assert min(by_host.values()) >= 1


def test_more_addresses_than_the_total_limit_lose_only_the_youngest() -> None:
    since = {
        peer(f"10.0.{number // 256}.{number % 256}", 1): float(number) for number in range(900)
    }

    gone = excess(since, per_peer=1024, total=768)

    assert {since[each] for each in gone} == {float(number) for number in range(768, 900)}


def test_addresses_of_one_network_count_as_one_peer() -> None:
    flood = {peer(f"2001:db8::{number:x}", number): float(number) for number in range(1, 101)}
    others = {peer("2001:db8:0:1::1", 1): 500.0, peer("::ffff:10.0.0.1", 2): 500.0}

    gone = excess({**flood, **others}, per_peer=10, total=1000)

    assert gone == list(flood)[10:]


def test_some_descriptors_are_reserved_for_other_uses() -> None:
    assert total_for(65_536) == 65_280
    assert total_for(400) == 200
