"""Implements `nestling-cloud broker-config`, which writes the files of a stand-alone Mosquitto."""

import argparse
import sys

from nestling_cloud.commands.network_flags import host
from nestling_cloud.commands.serve import port
from nestling_cloud.commands.state_flag import add_state
from nestling_cloud.fleet.listeners import Security
from nestling_core.command_line.path_flags import output_folder
from nestling_core.network.address import Address


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `broker-config`."""
    parser = subparsers.add_parser(
        "broker-config",
        help="write the configuration of a separately run Mosquitto",
        description="Write the files for a Mosquitto that you run yourself, instead of the broker "
        "that the cloud starts: mosquitto.conf, its certificate, the access control list and the "
        "list of revoked certificates. The cloud and nestling-cloud device keep the files up to "
        "date; send Mosquitto SIGHUP after a change.",
        epilog="example:\n"
        "  nestling-cloud broker-config --host 0.0.0.0 --public-host cloud.lan\n"
        "  mosquitto -c nestling-cloud/broker/mosquitto.conf\n",
    )
    add = parser.add_argument
    add_state(parser, output_folder)
    add(
        "--host",
        type=host,
        default="127.0.0.1",
        help="address on which the broker listens (default: %(default)s)",
    )
    add("--port", type=port, default=8883, help="port of the broker (default: %(default)s)")
    add(
        "--public-host",
        type=host,
        metavar="NAME",
        help="host name under which devices and the cloud reach the broker (default: HOST)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    with Security.open(options.state, options.host, options.public_host) as security:
        files = security.enrolment.broker
        files.write(options.host, options.port, security.names)
        public = Address(host=security.public_host, port=options.port)
    print(files.configuration)
    print(
        f"start it with: mosquitto -c {files.configuration}\n"
        f"connect the cloud to it with: nestling-cloud serve --broker {public}",
        file=sys.stderr,
    )
