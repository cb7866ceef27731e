"""`nestling-cloud serve`."""

import argparse
import json
from pathlib import Path
from typing import get_args

from nestling_cloud import service
from nestling_cloud.broker import BrokerKind
from nestling_cloud.connection import AddressError, BrokerAddress


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `serve`."""
    parser = subparsers.add_parser(
        "serve",
        help="serve a repository: inference, delivery, telemetry",
        description="Serve the released bundle and its teacher, and store what devices report. "
        "Ctrl-C or SIGTERM ends it.",
        epilog="examples:\n"
        "  nestling-cloud serve --repository repository\n"
        "  nestling-cloud serve --repository repository --broker 127.0.0.1:1883 --json\n"
        "  nestling-cloud serve --repository repository --host 0.0.0.0 --public-host cloud.lan\n",
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
    add(
        "--host",
        default="127.0.0.1",
        help="where to listen (default: %(default)s); what others can reach has TLS",
    )
    add("--port", type=port, default=8500, help="of gRPC, 0 takes a free one (default: 8500)")
    add("--tls", action="store_true", help="TLS and certificates on this machine too")
    add("--public-host", metavar="NAME", help="how devices reach this machine (default: HOST)")
    add(
        "--enrolment-port",
        type=port,
        default=8501,
        metavar="PORT",
        help="where devices enrol, with TLS; 0 takes a free one (default: 8501)",
    )
    add(
        "--broker",
        type=_address,
        metavar="HOST:PORT",
        help="a running MQTT broker (default: start one)",
    )
    add(
        "--broker-port",
        type=port,
        metavar="PORT",
        help="of the started broker, 0 takes a free one (default: 1883, with TLS 8883)",
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
        state=options.state,
        store=options.store,
        host=options.host,
        port=options.port,
        tls=options.tls,
        public_host=options.public_host,
        enrolment_port=options.enrolment_port,
        broker=options.broker,
        broker_port=options.broker_port,
        broker_kind=options.broker_kind,
    )
    service.run(config, _print_json if options.json else _print_for_people)


def _print_json(addresses: service.Addresses) -> None:
    ready = {"event": "ready", "grpc": addresses.grpc, "broker": addresses.broker}
    if addresses.enrolment is not None:
        ready["enrolment"] = addresses.enrolment
    print(json.dumps(ready), flush=True)


def _print_for_people(addresses: service.Addresses) -> None:
    print(
        f"inference and delivery (gRPC)  {addresses.grpc}\n"
        f"telemetry and delivery (MQTT)  {addresses.broker}"
    )
    if addresses.enrolment is None:
        print(
            "start a device with\n"
            f"  nestling-device run --cloud {addresses.grpc} --broker {addresses.broker}",
            flush=True,
        )
    else:
        print(
            f"enrolment                      {addresses.enrolment}\n"
            "let a device in with\n"
            "  nestling-cloud device add NAME",
            flush=True,
        )


def port(text: str) -> int:
    """Read a port; 0 takes a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _address(text: str) -> BrokerAddress:
    try:
        return BrokerAddress.parse(text)
    except AddressError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
