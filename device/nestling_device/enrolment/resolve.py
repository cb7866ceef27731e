"""Who a device is and where its cloud is: as configured, otherwise as it enrolled."""

from pathlib import Path

from nestling_core.network.address import Address
from nestling_core.network.hosts import is_loopback
from nestling_device.config.schema import Config, with_values
from nestling_device.transport.identity import Identity, IdentityError

_NAMELESS = "device-1"


def state_dir_of(config: Config) -> Path:
    """Folder of everything that has to outlive a restart."""
    return Path(config.device.state or f"nestling-{config.device.id or _NAMELESS}")


def joined(config: Config) -> tuple[Config, Identity | None]:
    """Complete a configuration by the identity in its state folder.

    Returns:
        The configuration with name, state folder and addresses as far as they are known, and the
        identity, None if this device has not enrolled.

    Raises:
        IdentityError: the identity is damaged, or another device's.
    """
    state_dir = state_dir_of(config)
    identity = Identity.load(state_dir)
    known: dict[tuple[str, str], object] = {
        ("device", "state"): str(state_dir),
        ("device", "id"): config.device.id or _NAMELESS,
    }
    if identity is not None:
        known[("device", "id")] = config.device.id or identity.device_id
        known[("cloud", "address")] = config.cloud.address or identity.cloud
        known[("cloud", "broker")] = config.cloud.broker or identity.broker
        if known[("device", "id")] != identity.device_id:
            raise IdentityError(
                f"{state_dir} holds the identity of {identity.device_id!r}, not of "
                f"{config.device.id!r}; name another --state, or leave out --id"
            )
    return with_values(config, known), identity


def check_reachable(config: Config, identity: Identity | None) -> None:
    """Raise IdentityError unless cloud and broker are known, and may be spoken to as we are.

    Without an identity nothing is encrypted, so nothing leaves this machine.
    """
    if not config.cloud.address or not config.cloud.broker:
        raise IdentityError(
            f"no identity in {config.device.state}: enrol this device (nestling-device enrol), or "
            "name --cloud and --broker on this machine"
        )
    for address in (config.cloud.address, config.cloud.broker):
        if identity is None and not is_loopback(Address.parse(address).host):
            raise IdentityError(
                f"{address} is on another machine, and this device has no identity to speak to it "
                "by; enrol it first: nestling-device enrol --help"
            )
