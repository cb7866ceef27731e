import pytest

from nestling_device.address import split_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cloud.lan:8500", ("cloud.lan", 8500)),
        ("[::1]:1", ("::1", 1)),
        ("10.0.0.7:65535", ("10.0.0.7", 65535)),
    ],
)
def test_address_is_taken_apart(text: str, expected: tuple[str, int]) -> None:
    assert split_address(text) == expected


@pytest.mark.parametrize("text", ["", "cloud", ":8500", "cloud:", "cloud:0", "cloud:65536", "a:-1"])
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        split_address(text)
