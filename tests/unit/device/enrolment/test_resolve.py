import pytest

from nestling_device.config.schema import CloudTable, Config
from nestling_device.enrolment.resolve import check_reachable
from nestling_device.transport.identity import IdentityError


def config(cloud: str, broker: str) -> Config:
    return Config(cloud=CloudTable(address=cloud, broker=broker))


def test_device_without_an_identity_may_connect_to_this_machine() -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        check_reachable(config(f"{host}:8500", f"{host}:1883"), None)


@pytest.mark.parametrize(
    ("cloud", "broker"),
    [("192.0.2.2:8500", "127.0.0.1:1883"), ("127.0.0.1:8500", "cloud.lan:1883")],
)
def test_device_without_an_identity_may_not_connect_to_another_machine(
    cloud: str, broker: str
) -> None:
    with pytest.raises(IdentityError, match="enrol it first"):
        check_reachable(config(cloud, broker), None)


def test_missing_cloud_address_is_reported_with_how_to_enrol() -> None:
    with pytest.raises(IdentityError, match="nestling-device enrol"):
        check_reachable(config("", ""), None)
