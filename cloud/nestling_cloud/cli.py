"""The command `nestling-cloud`."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console

from nestling_cloud import service
from nestling_cloud.broker import BrokerKind
from nestling_cloud.bundles.export import export_bundle
from nestling_cloud.bundles.overview import overview, overview_table
from nestling_cloud.bundles.repository import Repository
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
    add_bundle_parser(subparsers)
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
        "--state",
        type=Path,
        default=Path("nestling-cloud"),
        metavar="DIR",
        help="folder of receipts, credentials and authority (default: ./%(default)s)",
    )
    add(
        "--store",
        metavar="URL|PATH",
        help="database of the receipts (default: receipts.sqlite in the state folder)",
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


def add_bundle_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bundle` and what can be done with one."""
    parser = subparsers.add_parser("bundle", help="look at the released bundle, or take it out")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_show_parser(commands)
    add_export_parser(commands)


def add_show_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bundle show`."""
    parser = subparsers.add_parser(
        "show",
        help="tell task, version, capacities and sizes",
        epilog="example:\n  nestling-cloud bundle show --repository repository --json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--repository", type=Path, required=True, metavar="DIR", help="folder of the releases")
    add("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_show)


def add_export_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bundle export`."""
    parser = subparsers.add_parser(
        "export",
        help="write every capacity, the routers and the teacher as ONNX files",
        description="Write capacity-k.onnx with its capacity-k.weights for every capacity, "
        "multiplexer.onnx, accept_head.onnx, the teacher, and manifest.json. Any ONNX runtime "
        "loads them.",
        epilog="example:\n  nestling-cloud bundle export --repository repository --out models\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--repository", type=Path, required=True, metavar="DIR", help="folder of the releases")
    add("--out", type=Path, required=True, metavar="DIR", help="where to; new or empty")
    add("--force", action="store_true", help="replace files that are there")
    parser.set_defaults(run=_export)


def _show(options: argparse.Namespace) -> None:
    told = overview(Repository(options.repository))
    if options.json:
        print(json.dumps(told))
    else:
        Console().print(overview_table(told), highlight=False)


def _export(options: argparse.Namespace) -> None:
    for path in export_bundle(Repository(options.repository), options.out, force=options.force):
        print(path)


def _serve(options: argparse.Namespace) -> None:
    config = service.ServeConfig(
        repository=options.repository,
        state=options.state,
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
