"""Implements the sub-command `nestling-device federated`, which starts Flower's SuperNode."""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from nestling_core.command_line.path_flags import input_file
from nestling_core.network.flower_environment import flower_environment
from nestling_device.commands import flags
from nestling_device.enrolment.resolve import resolve_identity
from nestling_device.errors import DeviceError
from nestling_device.federated.examples import FEWEST_EXAMPLES
from nestling_device.federated.participant import Node

_EXAMPLES = """\
examples:
  nestling-device federated join --superlink 127.0.0.1:9092 --root-certificates ca.pem
      --data labelled.npz
      join as the device that /etc/nestling/device.toml describes
  nestling-device federated join --superlink 127.0.0.1:9092 --root-certificates ca.pem
      --data labelled.npz --state nestling-porch --memory-kb 40
      join as the device whose state is in ./nestling-porch
"""


class FederatedError(DeviceError):
    """Raised when the device cannot take part in federated rounds."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `federated` sub-command."""
    parser = commands.add_parser(
        "federated", help="learn with the fleet; your data stays on this device"
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    join = subparsers.add_parser(
        "join",
        help="wait for federated rounds and take part in them",
        description="Start Flower's SuperNode for this device. Whenever the cloud asks, it trains "
        "the capacities that the memory budget admits on the labeled windows in --data.\n"
        "Ctrl-C stops it.",
        epilog=_EXAMPLES,
    )
    add = join.add_argument
    add(
        "--superlink",
        required=True,
        type=flags.address,
        metavar="HOST:PORT",
        help="address of the fleet's SuperLink",
    )
    add(
        "--root-certificates",
        required=True,
        type=input_file,
        metavar="PEM",
        help="root certificates that the SuperLink's certificate is checked against",
    )
    flags.add_config(join)
    flags.add_state(join)
    add(
        "--data",
        required=True,
        type=input_file,
        metavar="FILE.npz",
        help="examples in the order of recording: windows, float32 (N, shape), "
        "and labels, int64 (N,)",
    )
    flags.add_memory(join)
    add(
        "--port",
        type=int,
        default=9094,
        help="loopback port for the SuperNode itself (default: 9094)",
    )
    add(
        "--no-cloud-check",
        action="store_true",
        help="do not send held-out inputs to the cloud, to see whether it is still better",
    )
    join.set_defaults(run=_join)


def _print_contribution(node: Node) -> None:
    """Print what this device contributes to a round.

    Raises:
        FederatedError: there are too few examples to learn from, or the memory budget admits no
            capacity.
    """
    examples = node.examples
    if len(examples.labels) < FEWEST_EXAMPLES:
        raise FederatedError(
            f"{len(examples.labels)} examples are left to learn from and {FEWEST_EXAMPLES} are "
            "needed",
            advice="record more",
        )
    if node.capacity == 0:
        raise FederatedError(
            f"the memory budget admits no capacity of {node.bundle_version}: the smallest needs "
            f"{node.manifest.capacities[0].memory_bytes / 1000:.1f} kB",
            advice="raise --memory-kb",
        )
    print(
        f"{node.device}: bundle {node.bundle_version}, capacity {node.capacity}, "
        f"{len(examples.labels)} examples to learn from, {len(examples.held_out_labels)} held out"
    )
    if not len(examples.held_out_labels):
        print(
            f"{node.device}: no class has five examples, so none is held out, and this device "
            "cannot measure whether a round helped it",
            file=sys.stderr,
        )


def _join(options: argparse.Namespace) -> int:
    config, _ = resolve_identity(flags.read(options))
    state = Path(config.device.state)
    node = {
        "id": config.device.id,
        "state": str(state.absolute()),
        "data": str(options.data.absolute()),
        "memory-kb": config.budget.memory_kb,
        "cloud": "" if options.no_cloud_check else config.cloud.address,
    }
    _print_contribution(Node.of(node))
    if not options.root_certificates.is_file():
        raise FederatedError(
            f"{options.root_certificates} does not exist",
            advice="name the SuperLink's certificates with --root-certificates",
        )
    environment = flower_environment(options.superlink.host)
    # A folder for each device, so that two devices on one machine do not share it.
    environment.setdefault("FLWR_HOME", str((state / "flower").absolute()))
    program = shutil.which("flower-supernode", path=environment["PATH"])
    if program is None:
        raise FederatedError(
            "flower-supernode is not installed", advice="pip install 'nestling[federated]'"
        )
    command = [
        program,
        *("--superlink", str(options.superlink)),
        *("--root-certificates", str(options.root_certificates)),
        *("--host", "127.0.0.1", "--port", str(options.port)),
        # Flower reads the values as TOML; JSON's are valid TOML.
        *("--node-config", " ".join(f"{key}={json.dumps(value)}" for key, value in node.items())),
    ]
    sys.stdout.flush()
    os.execve(program, command, environment)  # noqa: S606 - no shell is what we want
