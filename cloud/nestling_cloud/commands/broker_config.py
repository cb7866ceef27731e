"""`nestling-cloud broker-config`."""

import argparse
import sys

from nestling_cloud.commands.network_flags import host
from nestling_cloud.commands.serve import port
from nestling_cloud.fleet.listeners import Security
from nestling_core.command_line.path_flags import output_folder
from nestling_core.network.address import Address


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `broker-config`."""
    parser = subparsers.add_parser(
        "broker-config",
        help="write the files of a Mosquitto that runs by itself",
        description="Write what a Mosquitto needs that runs beside the cloud instead of being "
        "started by it: mosquitto.conf, its certificate, who may do what, and whom it refuses. "
        "The cloud and nestling-cloud device keep them up to date; send it SIGHUP when they have "
        "changed.",
        epilog="example:\n"
        "  nestling-cloud broker-config --host 0.0.0.0 --public-host cloud.lan\n"
        "  mosquitto -c nestling-cloud/broker/mosquitto.conf\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--state",
        type=output_folder,
        default="nestling-cloud",
        metavar="DIR",
        help="the cloud's state folder (default: ./%(default)s)",
    )
    add(
        "--host",
        type=host,
        default="127.0.0.1",
        help="where the broker listens (default: %(default)s)",
    )
    add("--port", type=port, default=8883, help="its port (default: %(default)s)")
    add(
        "--public-host",
        type=host,
        metavar="NAME",
        help="how devices and the cloud reach it (default: HOST)",
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
        f"join it with: nestling-cloud serve --broker {public}",
        file=sys.stderr,
    )
