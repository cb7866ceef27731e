import pytest

from nestling_core.network.hosts import (
    HostError,
    is_local,
    is_loopback,
    is_wildcard,
    network_of,
    parse_host,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[::1]", "::1"),
        ("::", "::"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("Localhost.", "localhost"),
        ("127.1", "127.1"),  # a name here; libc reads it as an address
    ],
)
def test_host_is_parsed_into_its_canonical_form(text: str, expected: str) -> None:
    assert parse_host(text) == expected
    assert parse_host(expected) == expected


@pytest.mark.parametrize("text", ["", "https://cloud", "cloud:8500", "a/b", "fe80::1%eth0", " a"])
def test_text_that_is_not_a_host_is_refused(text: str) -> None:
    with pytest.raises(HostError):
        parse_host(text)


@pytest.mark.parametrize(
    ("host", "loopback", "wildcard"),
    [
        ("localhost", True, False),
        ("127.0.0.9", True, False),
        ("::1", True, False),
        ("::", False, True),
        ("0.0.0.0", False, True),  # noqa: S104
        ("192.0.2.1", False, False),
        ("cloud.lan", False, False),
        ("127.1", False, False),
    ],
)
def test_loopback_and_wildcard_hosts_are_recognized(
    host: str, *, loopback: bool, wildcard: bool
) -> None:
    assert is_loopback(host) == loopback
    assert is_wildcard(host) == wildcard
    assert is_local(host) == (loopback or wildcard)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:0:0:2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_clients_are_counted_by_their_network(host: str, network: str) -> None:
    assert network_of(host) == network
