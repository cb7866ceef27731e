import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nestling_cloud.cli import main
from nestling_cloud.federated.round_log import RoundLog
from nestling_cloud.store.store import store_url
from tests.unit.cloud.federated.test_round_log import ONE, TWO


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with RoundLog(store_url(str(tmp_path / "receipts.sqlite"))) as log:
        log.put(ONE)
        log.put(TWO)
    return tmp_path


def test_rounds_table_lists_dropped_clients_and_reasons(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    assert main(["federated", "rounds", "--state", str(state), "--limit", "5"]) == 0

    output = capsys.readouterr().out
    assert "attic: no reply in time" in output
    assert output.index(" 1 ") < output.index(" 2 ")


def test_json_flag_prints_rounds_as_json(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["federated", "rounds", "--state", str(state), "--limit", "1", "--json"]) == 0

    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["number"] == 2
    assert entry["participants"][0]["device"] == "porch"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "cloud"])  # noqa: S104 - refused
def test_superlink_on_a_reachable_address_is_refused(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--certificate", "a.pem", "--key", "a.key", "--ca", "ca.pem"]

    assert main(["federated", "link", "--host", host, *files]) == 1

    assert "is not loopback" in capsys.readouterr().err


def test_remote_superlink_without_tls_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--repository", str(tmp_path), "--task", "wearable", "--superlink", "cloud:9092"]

    assert main(["federated", "run", *arguments]) == 1

    assert "cloud:9092 is not loopback" in capsys.readouterr().err


def test_showing_rounds_needs_neither_torch_nor_flwr() -> None:
    program = "import sys, nestling_cloud.cli\nprint(sorted({'torch', 'flwr'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


# Stands in for flwr: sends Ctrl-C while it runs the sub-command named by INTERRUPTED.
_FLWR = """#!/bin/sh
[ "$1" = "$INTERRUPTED" ] && kill -INT $PPID
case $1 in
run) echo '{"success": true, "run-id": "7"}' ;;
log) exec sleep 60 ;;
stop) echo "$2" >"$STOPPED"; printf '%s' "$SAID" ;;
esac
"""
# A shell that starts the tests in the background lets them ignore Ctrl-C.
_INTERRUPTED_RUN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.executable = sys.argv.pop(1)
from nestling_cloud.cli import main
sys.exit(main(sys.argv[1:]))
"""


def interrupted_run(folder: Path, during: str, output: str) -> "subprocess.CompletedProcess[str]":
    (folder / "flwr").write_text(_FLWR)
    (folder / "flwr").chmod(0o755)
    arguments = ["federated", "run", "--repository", str(folder), "--task", "wearable"]
    return subprocess.run(
        [
            *(sys.executable, "-P", "-c", _INTERRUPTED_RUN, str(folder / "python")),
            *(*arguments, "--state", str(folder / "state")),
        ],
        env={
            **os.environ,
            "INTERRUPTED": during,
            "STOPPED": str(folder / "stopped"),
            "SAID": output,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("during", ["run", "log"])
def test_interrupted_run_is_stopped_at_the_superlink_too(tmp_path: Path, during: str) -> None:
    done = interrupted_run(tmp_path, during, '{"success": true, "run-id": "7"}')

    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "nestling-cloud: stopped; run 7 was stopped at the SuperLink too\n"
    assert (tmp_path / "stopped").read_text() == "7\n"


def test_interrupted_run_that_cannot_be_stopped_warns_of_a_release(tmp_path: Path) -> None:
    output = '{"success": false, "error-message": "Stopping\\nno such run"}'

    done = interrupted_run(tmp_path, "log", output)

    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == (
        "nestling-cloud: run 7 could not be stopped at the SuperLink and may release a bundle: "
        "no such run\n"
    )
