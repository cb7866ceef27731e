import pytest

from nestling_core.network.address import Address, AddressError


@pytest.mark.parametrize(
    ("text", "host", "port", "written"),
    [
        ("cloud.lan:8500", "cloud.lan", 8500, "cloud.lan:8500"),
        ("10.0.0.7:65535", "10.0.0.7", 65535, "10.0.0.7:65535"),
        ("[::1]:1", "::1", 1, "[::1]:1"),
        ("[2001:DB8:0:0::7]:8500", "2001:db8::7", 8500, "[2001:db8::7]:8500"),
        ("[::ffff:10.0.0.7]:8500", "10.0.0.7", 8500, "10.0.0.7:8500"),
        ("Cloud.LAN.:08500", "cloud.lan", 8500, "cloud.lan:8500"),
        ("b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example:1", "xn--bcher-kva.example", 1,
         "xn--bcher-kva.example:1"),
        ("nestling_cloud:8500", "nestling_cloud", 8500, "nestling_cloud:8500"),
    ],
)  # fmt: skip
def test_address_is_parsed_and_formatted_canonically(
    text: str, host: str, port: int, written: str
) -> None:
    address = Address.parse(text)

    assert address == Address(host=host, port=port)
    assert str(address) == written
    assert Address.parse(written) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "cloud", ":8500", "cloud:", "cloud:0", "cloud:65536", "a:-1", "cloud:8500/",
        "cloud:\N{FULLWIDTH DIGIT ONE}", f"cloud:{'9' * 5000}", "a b:1", "user@cloud:1", "[]:1",
        "[cloud]:1", "[10.0.0.7]:1", "-host:1", "a..b:1", ".:1", f"{'a' * 64}.lan:1", "[::1:1",
        "cloud.lan:8500\n",
    ],
)  # fmt: skip
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="is not HOST:PORT"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://cloud.lan:8501", "leave out https://"),
        ("mqtts://cloud.lan", "leave out mqtts://"),
        ("::1:8512", r"in brackets, \[::1\]:8512"),
        ("[fe80::1%eth0]:8500", "has a zone"),
    ],
)
def test_common_mistakes_are_reported_with_a_correction(text: str, message: str) -> None:
    with pytest.raises(AddressError, match=message):
        Address.parse(text)
