"""A device survives kill -9 at every write to its disk."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def every_kill(scenario: str, folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killing", scenario, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_killed_installation_leaves_the_old_or_the_new_bundle_and_can_be_finished(
    tmp_path: Path,
) -> None:
    found = every_kill("install", tmp_path)

    left = [kill["left"] for kill in found]
    assert left == sorted(left)  # the old one up to the switch, the new one from then on
    assert set(left) == {2, 3}
    assert {kill["finally"] for kill in found} == {3}
    steps = {kill["step"] for kill in found}
    assert {"open .part", "piece", "os.rename .part", "COMMIT", "os.remove blob"} <= steps


def test_killed_outbox_keeps_every_receipt_that_it_confirmed(tmp_path: Path) -> None:
    found = every_kill("outbox", tmp_path)

    assert len(found) > 30
    for kill in found:
        assert kill["guaranteed"] <= kill["left"] <= kill["guaranteed"] + 1, kill


def test_killed_device_asks_about_every_waiting_input_exactly_once(tmp_path: Path) -> None:
    found = every_kill("follow_ups", tmp_path)

    assert {"BEGIN IMMEDIATE", "COMMIT"} <= {kill["step"] for kill in found}
    states = [(kill["left"], kill["revised"]) for kill in found]
    assert list(dict.fromkeys(states)) == [(0, 0), (1, 0), (0, 1)]
    assert {kill["finally"] for kill in found} == {0}
    # Afterwards, the whole work was done once more.
    assert all(kill["finally_revised"] == kill["left"] + kill["revised"] + 1 for kill in found)


def test_killed_enrolment_leaves_no_identity_or_a_complete_one_and_can_be_finished(
    tmp_path: Path,
) -> None:
    found = every_kill("enrol", tmp_path)

    assert {kill["left"] for kill in found} == {None, "first:1", "second:1"}
    assert {kill["finally"] for kill in found} == {"second:1"}
    steps = {kill["step"] for kill in found}
    assert {"os.mkdir blob", "open .pem", "os.symlink", "os.rename .link"} <= steps
    # The identity, at most one earlier one, and the link; no key of an unfinished enrolment.
    assert {tuple(kill["files"]) for kill in found} <= {
        ("identity", "identity"),
        ("identity", "identity", "identity"),
    }
