"""Implements the sub-command `nestling-device status`, which reports the state of the device."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nestling_device.commands import flags
from nestling_device.config.schema import Config
from nestling_device.energy.measured_costs import read_costs
from nestling_device.enrolment.resolve import resolve_identity
from nestling_device.hardware.machine import machine_name
from nestling_device.storage.snapshot import is_running, read_bundle, read_outbox
from nestling_device.transport.identity import Identity

# The exit codes of systemctl status.
_RUNNING, _NOT_RUNNING = 0, 3
_EXAMPLES = """\
exit codes: 0 running, 3 not running, 1 the state cannot be read

examples:
  nestling-device status
      report on the device that /etc/nestling/device.toml describes
  nestling-device status --state nestling-porch --json
      report on the device whose state is in ./nestling-porch, as JSON
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `status` sub-command."""
    parser = commands.add_parser(
        "status",
        help="report the state of the device",
        description="Report the state of the device, whether it is running or not, without "
        "changing anything.",
        epilog=_EXAMPLES,
    )
    flags.add_config(parser)
    flags.add_state(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    config, identity = resolve_identity(flags.read(options))
    status = _status(config, identity, flags.file_of(options))
    if options.json:
        print(json.dumps(status, indent=2))
    else:
        print("\n".join(_lines(status)))
    return _RUNNING if status["running"] else _NOT_RUNNING


def _status(config: Config, identity: Identity | None, file: Path | None) -> dict[str, Any]:
    state_dir = Path(config.device.state)
    bundle, outbox = read_bundle(state_dir), read_outbox(state_dir)
    costs = read_costs(state_dir, machine_name())
    return {
        "running": is_running(state_dir),
        "id": config.device.id,
        "config": None if file is None else str(file),
        "state": str(state_dir),
        "bundle": bundle
        and {
            "version": bundle.version,
            "task": bundle.task,
            "release": bundle.release,
            "capacity": bundle.capacity,
        },
        "outbox": outbox
        and {
            "depth": outbox.depth,
            "written": outbox.written,
            "acknowledged": outbox.acknowledged,
            "oldest_waiting": _when(outbox.oldest_ms),
            "inputs_to_ask_about": outbox.pending,
        },
        "identity": identity
        and {
            "name": identity.device_id,
            "ends": identity.ends.isoformat(),
            "days_left": (identity.ends - datetime.now(UTC)).days,
        },
        "cloud": config.cloud.address or None,
        "broker": config.cloud.broker or None,
        "source": config.source.kind,
        "meter": config.meter.kind,
        "profile": costs
        and {
            "bundle": costs.bundle,
            "taken_at": costs.taken_at,
            "in_use": bundle is not None and costs.bundle == bundle.version,
        },
    }


def _lines(status: dict[str, Any]) -> list[str]:
    bundle, outbox, identity = status["bundle"], status["outbox"], status["identity"]
    profile = status["profile"]
    entries = {
        status["id"]: "running" if status["running"] else "not running",
        "bundle": bundle
        and f"{bundle['version']}, release {bundle['release']}, "
        f"capacities 1 to {bundle['capacity']}",
        "outbox": outbox
        and f"{outbox['depth']} receipts waiting, {outbox['acknowledged']} of {outbox['written']} "
        f"acknowledged{_since(outbox['oldest_waiting'])}; "
        f"{outbox['inputs_to_ask_about']} inputs to ask the cloud about",
        "identity": identity
        and f"{identity['name']}, valid until {identity['ends'][:10]} "
        f"({identity['days_left']} days)",
        "cloud": status["cloud"],
        "broker": status["broker"],
        "source": status["source"],
        "meter": status["meter"],
        "profile": profile
        and f"measured {profile['taken_at']}"
        + ("" if profile["in_use"] else f", for {profile['bundle']}: not in use"),
        "config": status["config"],
        "state": status["state"],
    }
    width = max(map(len, entries))
    return [f"{name:{width}}  {value or 'none'}" for name, value in entries.items()]


def _when(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else datetime.fromtimestamp(unix_ms / 1e3, UTC).isoformat()


def _since(oldest: str | None) -> str:
    return "" if oldest is None else f", the oldest since {oldest}"
