"""Proxies: what belongs to one fleet is spoken to directly, whatever the environment names.

gRPC channels and MQTT connections of ours never look for a proxy. Flower's programs do, for they
speak HTTP; they are started in an environment that exempts the hosts of the fleet. Downloads of
data sets go through a proxy as usual.
"""

from collections.abc import Mapping

# Some libraries read one spelling only.
_EXEMPT = ("no_proxy", "NO_PROXY")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def past_proxies(environment: Mapping[str, str], *hosts: str) -> dict[str, str]:
    """Make an environment in which some hosts, and this machine, are spoken to directly.

    Args:
        environment: to start from; proxies for everybody else stay in force.
        hosts: names or addresses, without brackets.
    """
    exempt = dict.fromkeys(
        host.strip()
        for text in (*(environment.get(name, "") for name in _EXEMPT), *_THIS_MACHINE, *hosts)
        for host in text.split(",")
        if host.strip()
    )
    return {**environment, **dict.fromkeys(_EXEMPT, ",".join(exempt))}
