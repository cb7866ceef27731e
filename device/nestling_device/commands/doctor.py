"""Implements the sub-command `nestling-device doctor`, which checks the device."""

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from nestling_device.commands import flags
from nestling_device.config.schema import Config
from nestling_device.doctor import equipment, limits, machine, network, state
from nestling_device.doctor.finding import (
    Check,
    CheckedDevice,
    FailedCheckError,
    Finding,
)
from nestling_device.enrolment.resolve import resolve_identity
from nestling_device.errors import DeviceError
from nestling_device.hardware.machine import activations_of
from nestling_device.storage.snapshot import is_running

_CHECKS: tuple[Check, ...] = (
    machine.python,
    machine.memory,
    machine.throttling,
    state.folder,
    state.identity,
    state.bundle,
    state.outbox,
    network.cloud,
    network.broker,
    network.host,
    limits.offload,
    limits.targets,
    equipment.battery,
    equipment.meter,
    equipment.source,
)
_EXAMPLES = """\
exit codes: 0 the device can run, 1 something keeps it from running

examples:
  sudo -u nestling nestling-device doctor
      check the device that /etc/nestling/device.toml describes
  nestling-device doctor --state nestling-porch --json
      check the device whose state is in ./nestling-porch, and print JSON
"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `doctor` sub-command."""
    parser = commands.add_parser(
        "doctor",
        help="check the device and report what to fix",
        description="Check everything that the device needs, and report what is wrong and what "
        "to do about it. It is safe to use while the device runs.",
        epilog=_EXAMPLES,
    )
    flags.add_config(parser)
    flags.add_cloud(parser)
    flags.add_device(parser)
    flags.add_source(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    findings = []
    for finding in _examine(options):
        findings.append(finding)
        if not options.json:
            _print(finding)
    failed = any(finding.level == "fail" for finding in findings)
    if options.json:
        print(json.dumps({"ok": not failed, "checks": [asdict(f) for f in findings]}, indent=2))
    return int(failed)


def _examine(options: argparse.Namespace) -> Iterator[Finding]:
    """Yield the finding of each check.

    If the configuration or the identity is unusable, yield only a finding about that.
    """
    try:
        config, identity = resolve_identity(flags.read(options))
        subject = CheckedDevice(
            config=config,
            identity=identity,
            running=is_running(Path(config.device.state)),
            activations=activations_of(platform.machine()),
        )
    except DeviceError as err:
        yield Finding(check="configuration", level="fail", found=err.problem, advice=err.advice)
        return
    yield Finding(check="configuration", level="ok", found=_summary(options, config))
    for check in _CHECKS:
        print(f"nestling-device: checking {check.__name__} ...", file=sys.stderr)
        try:
            yield check(subject)
        except FailedCheckError as err:
            yield err.finding


def _summary(options: argparse.Namespace, config: Config) -> str:
    file = flags.file_of(options)
    return f"{config.device.id}, {'defaults and flags' if file is None else file}"


def _print(finding: Finding) -> None:
    print(f"{finding.level:4}  {finding.check:13}  {finding.found}")
    if finding.advice:
        print(f"{'':4}  {'':13}  -> {finding.advice}")
