"""Exempts a fleet's hosts from the proxies set in environment variables.

Nestling's own gRPC channels and MQTT connections never use a proxy. Flower's programs do, so they
are started with environment variables that exempt the fleet's hosts. Downloads of data sets still
go through the proxy.
"""

from collections.abc import Mapping

# Some libraries read only one of the two spellings.
_EXEMPT = ("no_proxy", "NO_PROXY")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def bypass_proxies(environment: Mapping[str, str], *hosts: str) -> dict[str, str]:
    """Return environment variables that exempt the given hosts and this machine from proxies.

    Args:
        environment: a mapping from the name of each environment variable to its value. The
            mapping itself is not changed. Hosts that it already exempts remain exempt.
        hosts: the names or addresses of the hosts, without brackets.
    """
    exempt = dict.fromkeys(
        host.strip()
        for text in (*(environment.get(name, "") for name in _EXEMPT), *_THIS_MACHINE, *hosts)
        for host in text.split(",")
        if host.strip()
    )
    return {**environment, **dict.fromkeys(_EXEMPT, ",".join(exempt))}
