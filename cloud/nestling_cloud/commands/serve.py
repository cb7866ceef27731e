"""`nestling-cloud serve`."""

import argparse
import json
from pathlib import Path
from typing import get_args

from nestling_cloud import service
from nestling_cloud.broker import BrokerKind
from nestling_cloud.connection import AddressError, BrokerAddress
from nestling_cloud.console.server import ConsoleAddress


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `serve`."""
    parser = subparsers.add_parser(
        "serve",
        help="serve a repository: inference, delivery, telemetry, console",
        description="Serve the released bundle and its teacher, store what devices report, and "
        "show it in a console. Ctrl-C or SIGTERM ends it.",
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
    add(
        "--console-host",
        default="127.0.0.1",
        metavar="HOST",
        help="where the console and the API listen (default: %(default)s)",
    )
    add(
        "--console-port",
        type=_port,
        default=8080,
        metavar="PORT",
        help="their port, 0 takes a free one (default: 8080)",
    )
    add("--no-console", action="store_true", help="serve neither console nor API")
    add("--json", action="store_true", help="print one line of JSON when ready")
    parser.set_defaults(run=_serve)


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
        console=None
        if options.no_console
        else ConsoleAddress(host=options.console_host, port=options.console_port),
    )
    service.run(config, _print_json if options.json else _print_for_people)


def _print_json(addresses: service.Addresses) -> None:
    told = {"grpc": addresses.grpc, "broker": addresses.broker}
    told |= {"console": addresses.console} if addresses.console else {}
    password = addresses.console_password
    told |= {"console_password": password} if password else {}
    print(json.dumps({"event": "ready", **told}), flush=True)


def _print_for_people(addresses: service.Addresses) -> None:
    lines = [
        f"inference and delivery (gRPC)  {addresses.grpc}",
        f"telemetry and delivery (MQTT)  {addresses.broker}",
    ]
    if addresses.console:
        lines.append(f"console and API                {addresses.console}")
    if addresses.console_password:
        lines += [
            f"password, shown only now       {addresses.console_password}",
            "  nestling-cloud console password makes another one",
        ]
    lines += [
        "start a device with",
        f"  nestling-device run --cloud {addresses.grpc} --broker {addresses.broker}",
    ]
    print("\n".join(lines), flush=True)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _address(text: str) -> BrokerAddress:
    try:
        return BrokerAddress.parse(text)
    except AddressError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
