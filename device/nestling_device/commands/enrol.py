"""Implements the sub-command `nestling-device enrol`, which gets or renews a certificate."""

import argparse
import sys
from pathlib import Path

from nestling_core.enrolment_token import EnrolmentToken
from nestling_core.parsing.text import decode_text
from nestling_device.commands import flags
from nestling_device.enrolment.enrol import EnrolmentError, enrol, renew
from nestling_device.transport.identity import Identity

_STANDARD_INPUT = "-"
_EXAMPLES = """\
examples:
  nestling-device enrol --cloud cloud.lan:8501 --token-file porch.token
  ssh cloud.lan nestling-cloud device add porch |
    nestling-device enrol --cloud cloud.lan:8501 --token-file -
  nestling-device enrol --renew --state nestling-porch
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `enrol` sub-command."""
    parser = commands.add_parser(
        "enrol",
        help="enrol this device with its cloud, or renew its certificate",
        description="Make a private key that never leaves this device, and exchange a one-time "
        "token for a certificate. nestling-cloud device add prints the token.",
        epilog=_EXAMPLES,
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--token-file", metavar="FILE", help="file with the one-time token, or - for standard input"
    )
    how.add_argument(
        "--renew", action="store_true", help="renew the certificate in the state folder"
    )
    parser.add_argument(
        "--cloud",
        metavar="HOST:PORT",
        type=flags.address,
        help="address at which the cloud enrols devices; required with --token-file",
    )
    flags.add_config(parser)
    flags.add_state_folder(parser, "./nestling-<name in the token>")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    identity = _renew(options) if options.renew else _enrol(options)
    print(
        f"this device is {identity.device_id}; its certificate is valid until "
        f"{identity.ends:%Y-%m-%d}\n"
        f"start it with: nestling-device run --id {identity.device_id} "
        f"--state {identity.state_dir}"
    )
    return 0


def _enrol(options: argparse.Namespace) -> Identity:
    if options.cloud is None:
        raise EnrolmentError(
            "no cloud to enrol with", advice="give its address with --cloud HOST:PORT"
        )
    token = _token(options)
    state = flags.read(options).device.state or f"nestling-{token.device_id}"
    return enrol(options.cloud, token, Path(state))


def _renew(options: argparse.Namespace) -> Identity:
    state = flags.read(options).device.state
    if not state:
        raise EnrolmentError(
            "no certificate to renew", advice="name the device's state folder with --state DIR"
        )
    identity = Identity(Path(state))
    renew(identity)
    return Identity(Path(state))


def _token(options: argparse.Namespace) -> EnrolmentToken:
    try:
        if options.token_file == _STANDARD_INPUT:
            data = sys.stdin.buffer.read()
        else:
            data = Path(options.token_file).read_bytes()
        return EnrolmentToken.from_text(decode_text(data))
    except OSError as err:
        raise EnrolmentError(
            f"{options.token_file} cannot be read: {err.strerror}", advice="name the token's file"
        ) from err
    except ValueError as err:
        raise EnrolmentError(f"--token-file {options.token_file}: {err}") from err
