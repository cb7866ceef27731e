"""Parses hosts and addresses on the command line."""

import argparse

from nestling_core.network.address import Address, AddressError
from nestling_core.network.hosts import HostError, parse_host


def host(text: str) -> str:
    """Return a host name or IP address in its canonical form.

    Raises:
        argparse.ArgumentTypeError: the text is neither a name nor an address.
    """
    try:
        return parse_host(text)
    except HostError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def address(text: str) -> Address:
    """Parse an address of the form HOST:PORT.

    Raises:
        argparse.ArgumentTypeError: the text is not such an address.
    """
    try:
        return Address.parse(text)
    except AddressError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
