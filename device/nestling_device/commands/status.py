"""`nestling-device status`."""

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

# As systemctl status has it.
_RUNNING, _NOT_RUNNING = 0, 3
_EXAMPLES = """\
exit codes: 0 it runs, 3 it does not, 1 its state cannot be read

examples:
  nestling-device status
      the device that /etc/nestling/device.toml describes
  nestling-device status --state nestling-porch --json
      another one, for a program
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `status`."""
    parser = commands.add_parser(
        "status",
        help="say how the device stands",
        description="Say how the device stands, whether it runs or not. Nothing is changed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_config(parser)
    flags.add_state(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    config, identity = resolve_identity(flags.read(options))
    found = _status(config, identity, flags.file_of(options))
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(_lines(found)))
    return _RUNNING if found["running"] else _NOT_RUNNING


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


def _lines(found: dict[str, Any]) -> list[str]:
    bundle, outbox, identity = found["bundle"], found["outbox"], found["identity"]
    profile = found["profile"]
    told = {
        found["id"]: "running" if found["running"] else "not running",
        "bundle": bundle
        and f"{bundle['version']}, release {bundle['release']}, "
        f"capacities 1 to {bundle['capacity']}",
        "outbox": outbox
        and f"{outbox['depth']} receipts wait, {outbox['acknowledged']} of {outbox['written']} "
        f"acknowledged{_since(outbox['oldest_waiting'])}",
        "identity": identity
        and f"{identity['name']}, until {identity['ends'][:10]} ({identity['days_left']} days)",
        "cloud": found["cloud"],
        "broker": found["broker"],
        "source": found["source"],
        "meter": found["meter"],
        "profile": profile
        and f"taken {profile['taken_at']}"
        + ("" if profile["in_use"] else f", for {profile['bundle']}: not in use"),
        "config": found["config"],
        "state": found["state"],
    }
    width = max(map(len, told))
    return [f"{name:{width}}  {value or 'none'}" for name, value in told.items()]


def _when(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else datetime.fromtimestamp(unix_ms / 1e3, UTC).isoformat()


def _since(oldest: str | None) -> str:
    return "" if oldest is None else f", the oldest since {oldest}"
