"""`nestling-device federated`."""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from nestling.path_flags import input_file
from nestling_device import flags
from nestling_device.errors import DeviceError
from nestling_device.membership import joined

_QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
_EXAMPLES = """\
examples:
  nestling-device federated join --superlink 127.0.0.1:9092 --root-certificates ca.pem
      --data labelled.npz
      the device that /etc/nestling/device.toml describes
  nestling-device federated join --superlink 127.0.0.1:9092 --root-certificates ca.pem
      --data labelled.npz --state nestling-porch --memory-kb 40
      another one, whose state lies in ./nestling-porch
"""


class FederatedError(DeviceError):
    """A device that cannot take part in federated rounds."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `federated`."""
    parser = commands.add_parser("federated", help="learn with the fleet, keeping the data here")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    join = subparsers.add_parser(
        "join",
        help="wait for federated rounds and take part in them",
        description="Start Flower's SuperNode for this device. It trains the part of the bundle "
        "that the memory budget admits on the labelled windows in --data, whenever the cloud asks. "
        "Ctrl-C ends it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = join.add_argument
    add("--superlink", required=True, metavar="HOST:PORT")
    add(
        "--root-certificates",
        required=True,
        type=input_file,
        metavar="PEM",
        help="of the SuperLink",
    )
    flags.add_config(join)
    flags.add_state(join)
    add(
        "--data",
        required=True,
        type=input_file,
        metavar="FILE.npz",
        help="windows, float32 (N, shape), and labels, int64 (N,), in the order of recording",
    )
    flags.add_memory(join)
    add("--port", type=int, default=9094, help="Flower's own, on loopback (default: 9094)")
    join.set_defaults(run=_join)


def _join(options: argparse.Namespace) -> int:
    config, _ = joined(flags.read(options))
    state = Path(config.device.state)
    for path in (state / "state.db", options.data, options.root_certificates):
        if not path.is_file():
            raise FederatedError(
                f"{path} does not exist; a device has a bundle in its state folder "
                "(nestling-device run), labelled windows and the SuperLink's certificates"
            )
    node = {
        "id": config.device.id,
        "state": str(state.absolute()),
        "data": str(options.data.absolute()),
        "memory-kb": config.budget.memory_kb,
    }
    beside = str(Path(sys.executable).parent)
    environment = {**_QUIET, **os.environ}
    environment["PATH"] = f"{beside}{os.pathsep}{environment.get('PATH', '')}"
    # Its own, so that two devices of one machine do not meet.
    environment.setdefault("FLWR_HOME", str((state / "flower").absolute()))
    program = shutil.which("flower-supernode", path=environment["PATH"])
    if program is None:
        raise FederatedError("no flower-supernode here: pip install 'nestling[federated]'")
    command = [
        program,
        *("--superlink", options.superlink),
        *("--root-certificates", str(options.root_certificates)),
        *("--host", "127.0.0.1", "--port", str(options.port)),
        # Values as TOML reads them, which JSON's are.
        *("--node-config", " ".join(f"{key}={json.dumps(value)}" for key, value in node.items())),
    ]
    sys.stdout.flush()
    os.execve(program, command, environment)  # noqa: S606 - no shell is what we want
