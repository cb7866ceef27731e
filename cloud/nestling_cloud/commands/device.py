"""Implements `nestling-cloud device`, which adds, lists and removes the fleet's devices."""

import argparse
import json
import sys
from datetime import timedelta
from pathlib import Path

from nestling_cloud.atomic_file import write_whole
from nestling_cloud.commands.network_flags import address
from nestling_cloud.commands.state_flag import add_state
from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.addresses import FleetAddresses
from nestling_cloud.fleet.authority import utc_now
from nestling_cloud.fleet.enrolment import TOKEN_LIFE, Enrolment
from nestling_cloud.fleet.member import Member

_MOST_HOURS = 24 * 365


class UnknownAddressError(CloudError):
    """Raised when the address where devices enrol is neither given nor stored by the cloud."""


class TokenFileError(CloudError):
    """Raised when a token cannot be written to the file that the user named."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `device` with its own sub-commands."""
    parser = subparsers.add_parser(
        "device",
        help="add devices to the fleet, list them, remove them",
        description="Add devices to the fleet, list them, remove them.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_add(actions)
    _add_list(actions)
    _add_remove(actions)


def _add_add(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "add",
        help="print a token with which a device can enrol once",
        description="Print a one-time enrolment token on standard output, and the command to run "
        "on the device on standard error. A device that is already enrolled gets a new certificate "
        "with it, and its old one is refused from then on.",
        epilog="examples:\n"
        "  nestling-cloud device add porch --token-file porch.token\n"
        "  nestling-cloud device add porch | ssh porch.lan nestling-device enrol \\\n"
        "    --cloud cloud.lan:8501 --token-file -\n"
        "  nestling-cloud device add porch --cloud cloud.lan:8501 --hours 1 --json\n",
    )
    parser.add_argument("name", metavar="NAME", help="name of the device")
    add_state(parser)
    parser.add_argument(
        "--cloud",
        type=address,
        metavar="HOST:PORT",
        help="address where the device enrols (default: where serve last listened for enrolments)",
    )
    parser.add_argument(
        "--hours",
        type=_hours,
        default=TOKEN_LIFE.total_seconds() / 3600,
        help="validity of the token, hours (default: %(default)g)",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="write the token to a file that only you can read, instead of printing it",
    )
    how.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.set_defaults(run=_run_add)


def _add_list(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "list",
        help="list the fleet's devices",
        description="List every device that was ever added: its name, whether it is invited, "
        "enrolled, expired or removed, and until when (or, once expired or removed, since when).",
        epilog="example:\n  nestling-cloud device list --json\n",
    )
    add_state(parser)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.set_defaults(run=_run_list)


def _add_remove(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "remove",
        help="remove a device from the fleet",
        description="Refuse a device's certificates and its token from now on, over gRPC and at "
        "the broker. The answers that it has reported stay stored.",
        epilog="example:\n  nestling-cloud device remove porch\n",
    )
    parser.add_argument("name", metavar="NAME", help="name of the device")
    add_state(parser)
    parser.set_defaults(run=_run_remove)


def _run_add(options: argparse.Namespace) -> None:
    cloud = str(options.cloud or _enrolment_address(options.state))
    life = timedelta(hours=options.hours)
    with Enrolment.open(options.state) as enrolment:
        until = utc_now() + life
        token = enrolment.invite(options.name, life).to_text()
    if options.json:
        token_json = {
            "device": options.name,
            "token": token,
            "cloud": cloud,
            "until": until.isoformat(),
        }
        print(json.dumps(token_json))
        return
    # On a command line, a secret would show in the process list and the shell's history.
    if options.token_file is None:
        print(token, flush=True)
        file, hint = "-", "and paste this token, or pipe it to standard input"
    else:
        _write_token(options.token_file, token)
        file, hint = options.token_file.name, f"after copying {options.token_file} there"
    print(
        f"{options.name} may enrol once, until {until:%Y-%m-%d %H:%M} UTC. On the device, run\n"
        f"  nestling-device enrol --cloud {cloud} --token-file {file}\n"
        f"{hint}.",
        file=sys.stderr,
    )


def _write_token(path: Path, token: str) -> None:
    try:
        write_whole(path, f"{token}\n".encode())
    except OSError as err:
        raise TokenFileError(
            f"cannot write {path}: {err.strerror}; run this again with another --token-file"
        ) from err


def _enrolment_address(state: Path) -> str:
    addresses = FleetAddresses.read(state)
    if addresses is None:
        raise UnknownAddressError(
            f"no cloud with the state folder {state} has listened for enrolments yet: start "
            "nestling-cloud serve with --host (or --tls), or name the address where devices will "
            "enrol with --cloud HOST:PORT"
        )
    return addresses.enrolment


def _run_list(options: argparse.Namespace) -> None:
    with Enrolment.open(options.state) as enrolment:
        members = enrolment.roster.members()
    if options.json:
        print(json.dumps([_as_json(member) for member in members]))
        return
    for member in members:
        print(f"{member.name:24} {member.status:9} {member.until:%Y-%m-%d %H:%M} UTC")


def _as_json(member: Member) -> dict[str, str]:
    return {
        "device": member.name,
        "status": member.status,
        "until": member.until.isoformat(),
    }


def _run_remove(options: argparse.Namespace) -> None:
    with Enrolment.open(options.state) as enrolment:
        enrolment.remove(options.name)
    print(f"{options.name} is refused from now on")


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = float("nan")  # fails the check below
    if not 0 < hours <= _MOST_HOURS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of hours above 0 and up to {_MOST_HOURS}"
        )
    return hours
