"""Hosts and addresses on a command line."""

import argparse

from nestling_core.network.address import Address, AddressError
from nestling_core.network.hosts import HostError, parse_host


def host(text: str) -> str:
    """Read the name or the address of a machine."""
    try:
        return parse_host(text)
    except HostError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def address(text: str) -> Address:
    """Read HOST:PORT."""
    try:
        return Address.parse(text)
    except AddressError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
