"""Implements `nestling-cloud serve`, which runs the cloud."""

import argparse
import json
from collections.abc import Iterator
from typing import get_args

from nestling_cloud.commands.model_flags import add_repository
from nestling_cloud.commands.network_flags import address, host
from nestling_cloud.commands.state_flag import add_state
from nestling_cloud.console.server import ConsoleAddress
from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_cloud.mqtt.client import BrokerAddress
from nestling_cloud.service import service
from nestling_cloud.service.config import Addresses, ServeConfig
from nestling_cloud.store.hard_inputs import NEWEST_IN_ALL, NEWEST_PER_DEVICE
from nestling_core.command_line.path_flags import output_folder
from nestling_core.network.address import Address

_MOST_THREADS = 64


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `serve`."""
    parser = subparsers.add_parser(
        "serve",
        help="serve a repository: inference, delivery, telemetry, console",
        description="Serve the released bundle to devices, answer offloaded inputs with its "
        "teacher, store the telemetry, and show it in a console. Ctrl-C or SIGTERM stops it.",
        epilog="examples:\n"
        "  nestling-cloud serve --repository repository\n"
        "  nestling-cloud serve --repository repository --broker 127.0.0.1:1883 --json\n"
        "  nestling-cloud serve --repository repository --host 0.0.0.0 --public-host cloud.lan\n",
    )
    _add_folders(parser)
    _add_network(parser)
    _add_broker(parser)
    _add_console(parser)
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    parser.set_defaults(run=_serve)


def _add_folders(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("folders").add_argument
    add_repository(parser)
    add_state(parser, output_folder, text="folder of receipts, credentials and certificates")
    add(
        "--store",
        metavar="URL|PATH",
        help="database of the receipts (default: receipts.sqlite in the state folder)",
    )
    add(
        "--keep-per-device",
        type=inputs_to_keep,
        default=NEWEST_PER_DEVICE,
        metavar="N",
        help="maximum number of unlabeled inputs to keep for each device; the newest are kept "
        "(default: %(default)s)",
    )
    add(
        "--keep-no-inputs",
        action="store_true",
        help="store no input of a device, whatever the task's keep_inputs allows",
    )


def _add_network(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("network").add_argument
    add(
        "--host",
        type=host,
        default="127.0.0.1",
        help="address to listen on; any except loopback enables TLS (default: %(default)s)",
    )
    add("--port", type=port, default=8500, help="port of gRPC; 0 picks a free port (default: 8500)")
    add("--tls", action="store_true", help="use TLS and certificates on loopback too")
    add(
        "--public-host",
        type=host,
        metavar="NAME",
        help="host name under which devices reach this machine (default: HOST)",
    )
    add(
        "--enrolment-port",
        type=port,
        default=8501,
        metavar="PORT",
        help="port where devices enrol, with TLS; 0 picks a free port (default: 8501)",
    )
    add(
        "--threads",
        type=threads,
        metavar="N",
        help="runs of the teacher at the same time (default: one for each core, at most 8)",
    )


def _add_broker(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("broker").add_argument
    add(
        "--broker",
        type=address,
        metavar="HOST:PORT",
        help="address of a running MQTT broker (default: start one)",
    )
    add(
        "--broker-port",
        type=port,
        metavar="PORT",
        help="port of the started broker; 0 picks a free port (default: 1883, with TLS 8883)",
    )
    add(
        "--broker-kind",
        choices=get_args(BrokerKind),
        default="auto",
        help="which broker to start (default: Mosquitto if installed, otherwise iotcore)",
    )


def _add_console(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("console").add_argument
    add(
        "--console-host",
        type=host,
        default="127.0.0.1",
        metavar="HOST",
        help="address on which the console and the API listen (default: %(default)s)",
    )
    add(
        "--console-port",
        type=port,
        default=8080,
        metavar="PORT",
        help="port of the console and the API; 0 picks a free port (default: 8080)",
    )
    add("--no-console", action="store_true", help="serve neither the console nor the API")


def _serve(options: argparse.Namespace) -> None:
    config = ServeConfig(
        repository=options.repository,
        state=options.state,
        store=options.store,
        host=options.host,
        port=options.port,
        tls=options.tls,
        public_host=options.public_host,
        enrolment_port=options.enrolment_port,
        broker=_broker(options.broker),
        broker_port=options.broker_port,
        broker_kind=options.broker_kind,
        threads=options.threads,
        keep_per_device=options.keep_per_device,
        keep_no_inputs=options.keep_no_inputs,
        console=None
        if options.no_console
        else ConsoleAddress(host=options.console_host, port=options.console_port),
    )
    service.run(config, _print_json if options.json else _print_for_people)


def _print_json(addresses: Addresses) -> None:
    values = {
        "grpc": addresses.grpc,
        "broker": addresses.broker,
        "enrolment": addresses.enrolment,
        "console": addresses.console,
        "console_password": addresses.console_password,
    }
    known = {name: value for name, value in values.items() if value is not None}
    print(json.dumps({"event": "ready", **known}), flush=True)


def _print_for_people(addresses: Addresses) -> None:
    print("\n".join(_lines(addresses)), flush=True)


def _lines(addresses: Addresses) -> Iterator[str]:
    yield f"inference and delivery (gRPC)  {addresses.grpc}"
    yield f"telemetry and delivery (MQTT)  {addresses.broker}"
    if addresses.console:
        yield f"console and API                {addresses.console}"
    if addresses.console_password:
        yield f"password (shown only once)     {addresses.console_password}"
        yield "  nestling-cloud console password sets a new one"
    if addresses.enrolment is None:
        yield "start a device with"
        yield f"  nestling-device run --cloud {addresses.grpc} --broker {addresses.broker}"
    else:
        yield f"enrolment                      {addresses.enrolment}"
        yield "add a device with"
        yield "  nestling-cloud device add NAME"


def port(text: str) -> int:
    """Parse a port number; 0 stands for any free port.

    Raises:
        argparse.ArgumentTypeError: the text is not a number from 0 to 65535.
    """
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def threads(text: str) -> int:
    """Parse a number of threads.

    Raises:
        argparse.ArgumentTypeError: the argument is not a number from 1 to 64.
    """
    if text.isdecimal() and 1 <= int(text) <= _MOST_THREADS:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST_THREADS}")


def inputs_to_keep(text: str) -> int:
    """Parse a number of inputs to keep.

    Raises:
        argparse.ArgumentTypeError: the argument is not a number from 1 to `NEWEST_IN_ALL`.
    """
    if text.isdecimal() and 1 <= int(text) <= NEWEST_IN_ALL:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {NEWEST_IN_ALL}")


def _broker(found: Address | None) -> BrokerAddress | None:
    return None if found is None else BrokerAddress(host=found.host, port=found.port)
