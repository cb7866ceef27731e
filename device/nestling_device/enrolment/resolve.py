"""Finds a device's name and the addresses of its cloud.

They come from the configuration. Those that it lacks come from the identity that the device
received when it enrolled.
"""

from pathlib import Path

from nestling_core.network.address import Address
from nestling_core.network.hosts import is_loopback
from nestling_device.config.schema import Config, with_values
from nestling_device.transport.identity import Identity, IdentityError

_DEFAULT_ID = "device-1"


def state_dir_of(config: Config) -> Path:
    """Return the state folder, which contains everything that must survive a restart.

    If the configuration names none, it is `nestling-<id>` in the current folder.
    """
    return Path(config.device.state or f"nestling-{config.device.id or _DEFAULT_ID}")


def resolve_identity(config: Config) -> tuple[Config, Identity | None]:
    """Complete a configuration from the device's identity, and return both.

    Returns:
        A pair: the completed configuration and the identity. The configuration has the device's
        name and state folder, and the addresses if they are known. The identity is None if the
        device has not enrolled.

    Raises:
        IdentityError: the identity is damaged, or its name differs from the configured one.
    """
    state_dir = state_dir_of(config)
    identity = Identity.load(state_dir)
    resolved: dict[tuple[str, str], object] = {
        ("device", "state"): str(state_dir),
        ("device", "id"): config.device.id or _DEFAULT_ID,
    }
    if identity is not None:
        resolved[("device", "id")] = config.device.id or identity.device_id
        resolved[("cloud", "address")] = config.cloud.address or identity.cloud
        resolved[("cloud", "broker")] = config.cloud.broker or identity.broker
        if resolved[("device", "id")] != identity.device_id:
            raise IdentityError(
                f"{state_dir} holds the identity of {identity.device_id!r}, not of "
                f"{config.device.id!r}",
                advice="name another folder with --state, or leave out --id",
            )
    return with_values(config, resolved), identity


def check_reachable(config: Config, identity: Identity | None) -> None:
    """Check that this device may connect to its cloud and broker.

    Without an identity, connections are not encrypted, so both must be on this machine.

    Args:
        config: a configuration that `resolve_identity` completed.
        identity: the device's identity, or None if it has not enrolled.

    Raises:
        IdentityError: an address is missing, or is on another machine although there is no
            identity.
    """
    if not config.cloud.address or not config.cloud.broker:
        raise IdentityError(
            f"no identity in {config.device.state}: enrol this device (nestling-device enrol), or "
            "name --cloud and --broker on this machine"
        )
    for address in (config.cloud.address, config.cloud.broker):
        if identity is None and not is_loopback(Address.parse(address).host):
            raise IdentityError(
                f"{address} is on another machine, and this device has no identity to connect with",
                advice="enrol it first: nestling-device enrol --help",
            )
