"""The command `nestling-cloud`."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from nestling_cloud import service
from nestling_cloud.broker import BrokerKind
from nestling_cloud.connection import AddressError, BrokerAddress
from nestling_cloud.errors import CloudError

_FAILURE = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Returns:
        Exit status: 0, or 1 after an error told on standard error (2 for wrong usage).
    """
    parser = argparse.ArgumentParser(
        prog="nestling-cloud",
        description="The cloud side of Nestling: releases, inference, telemetry.",
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_serve_parser(subparsers)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        options.run(options)
    except (CloudError, OSError) as err:
        print(f"nestling-cloud: {err}", file=sys.stderr)
        return _FAILURE
    return 0


def add_serve_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `serve`."""
    parser = subparsers.add_parser(
        "serve",
        help="serve a repository: inference, delivery, telemetry",
        description="Serve the released bundle and its teacher, and store what devices report. "
        "Ctrl-C or SIGTERM ends it.",
        epilog="examples:\n"
        "  nestling-cloud serve --repository repository\n"
        "  nestling-cloud serve --repository repository --broker 127.0.0.1:1883 --json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--repository", type=Path, required=True, metavar="DIR", help="folder of the releases")
    add(
        "--store",
        default="receipts.sqlite",
        metavar="URL|PATH",
        help="database of the receipts (default: %(default)s)",
    )
    add("--host", default="127.0.0.1", help="where gRPC listens (default: %(default)s)")
    add("--port", type=_port, default=8500, help="its port, 0 takes a free one (default: 8500)")
    add(
        "--broker",
        type=_address,
        metavar="HOST:PORT",
        help="a running MQTT broker (default: start one on 127.0.0.1)",
    )
    add(
        "--broker-port",
        type=_port,
        default=1883,
        metavar="PORT",
        help="port of the started broker, 0 takes a free one (default: 1883)",
    )
    add(
        "--broker-kind",
        choices=get_args(BrokerKind),
        default="auto",
        help="which broker to start (default: Mosquitto if installed, otherwise amqtt)",
    )
    add("--json", action="store_true", help="print one line of JSON when ready")
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> None:
    config = service.ServeConfig(
        repository=options.repository,
        store=options.store,
        host=options.host,
        port=options.port,
        broker=options.broker,
        broker_port=options.broker_port,
        broker_kind=options.broker_kind,
    )
    service.run(config, _print_json if options.json else _print_for_people)


def _print_json(addresses: service.Addresses) -> None:
    ready = {"event": "ready", "grpc": addresses.grpc, "broker": addresses.broker}
    print(json.dumps(ready), flush=True)


def _print_for_people(addresses: service.Addresses) -> None:
    print(
        f"inference and delivery (gRPC)  {addresses.grpc}\n"
        f"telemetry and delivery (MQTT)  {addresses.broker}\n"
        "start a device with\n"
        f"  nestling-device run --cloud {addresses.grpc} --broker {addresses.broker}",
        flush=True,
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _address(text: str) -> BrokerAddress:
    try:
        return BrokerAddress.parse(text)
    except AddressError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


if __name__ == "__main__":
    sys.exit(main())
