"""Proxies: hosts of a fleet are connected to directly, whatever proxy the environment names.

Our own gRPC channels and MQTT connections never use a proxy. Flower's programs do, so they are
started in an environment that exempts the hosts of the fleet. Downloads of data sets go through a
proxy as usual.
"""

from collections.abc import Mapping

# Some libraries read one spelling only.
_EXEMPT = ("no_proxy", "NO_PROXY")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def past_proxies(environment: Mapping[str, str], *hosts: str) -> dict[str, str]:
    """Make an environment in which no proxy is used for some hosts and this machine.

    Args:
        environment: to start from; its proxies stay in force for all other hosts.
        hosts: names or addresses, without brackets.
    """
    exempt = dict.fromkeys(
        host.strip()
        for text in (*(environment.get(name, "") for name in _EXEMPT), *_THIS_MACHINE, *hosts)
        for host in text.split(",")
        if host.strip()
    )
    return {**environment, **dict.fromkeys(_EXEMPT, ",".join(exempt))}
