import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestling_cloud.fleet.enrolment import Enrolment
from nestling_device.cli import main
from nestling_device.transport.identity import save_identity
from tests.support import enrolled
from tests.support.learning_fleet import learning_fleet, slow_tones


def test_device_without_a_state_folder_is_refused_with_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--superlink", "127.0.0.1:1", "--root-certificates", str(tmp_path / "ca.pem")]
    arguments += ["--data", str(tmp_path / "mine.npz"), "--state", str(tmp_path)]

    assert main(["federated", "join", *arguments]) == 1

    assert f"{tmp_path} is not a device's state folder" in capsys.readouterr().err


def test_state_folder_is_taken_from_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "device.toml"
    config.write_text(f'[device]\nstate = "{tmp_path / "configured"}"\n')
    arguments = ["--superlink", "127.0.0.1:1", "--root-certificates", str(tmp_path / "ca.pem")]
    arguments += ["--data", str(tmp_path / "mine.npz"), "--config", str(config)]

    assert main(["federated", "join", *arguments]) == 1

    assert f"{tmp_path / 'configured'} is not a device's state folder" in capsys.readouterr().err


def test_state_of_another_device_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Enrolment.open(tmp_path / "cloud") as enrolment:
        save_identity(tmp_path / "porch", enrolled.papers(enrolment, "porch"))
    arguments = ["--superlink", "127.0.0.1:1", "--root-certificates", str(tmp_path / "ca.pem")]
    arguments += ["--data", str(tmp_path / "mine.npz"), "--state", str(tmp_path / "porch")]

    assert main(["federated", "join", *arguments, "--id", "attic"]) == 1

    assert "identity of 'porch', not of 'attic'" in capsys.readouterr().err


@pytest.fixture
def arguments(tiny_bundle: Path, tmp_path: Path) -> list[str]:
    """Return the flags of a device that lacks only a SuperLink and its certificates."""
    repository = shutil.copytree(tiny_bundle, tmp_path / "repository")
    (node,) = learning_fleet(repository, tmp_path, (2,)).nodes
    return [
        *("--superlink", "127.0.0.1:1", "--root-certificates", str(tmp_path / "ca.pem")),
        *("--id", str(node["id"]), "--state", str(node["state"]), "--data", str(node["data"])),
        *("--memory-kb", str(node["memory-kb"])),
    ]


def join(arguments: list[str], *other: str) -> int:
    """Run the command with these flags, some of them replaced."""
    values = dict(zip(arguments[::2], arguments[1::2], strict=True))
    values.update(zip(other[::2], other[1::2], strict=True))
    return main(["federated", "join", *(text for pair in values.items() for text in pair)])


def test_supernode_starts_without_the_shells_variables_for_interactive_python(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").touch()
    started: list[dict[str, str]] = []
    monkeypatch.setattr(os, "execve", lambda *given: started.append(given[2]))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "flower-supernode")
    monkeypatch.setenv("PYTHONINSPECT", "1")
    monkeypatch.setenv("PYTHONSTARTUP", "/etc/pythonrc")

    with contextlib.suppress(SystemExit):
        join(arguments)

    assert not {"PYTHONINSPECT", "PYTHONSTARTUP"} & started[0].keys()
    assert started[0]["FLWR_TELEMETRY_ENABLED"] == "0"


def test_device_prints_its_contribution_before_it_waits_for_rounds(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert join(arguments) == 1  # because the certificates are missing

    output = capsys.readouterr()
    assert re.search(r"^device-1: bundle tiny-1-\w+, capacity 2, \d+ examples", output.out)
    assert "ca.pem does not exist" in output.err


FEW = slow_tones(4, seed=1)
UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "no examples": ({"windows": FEW.inputs[:0], "labels": FEW.labels[:0]}, "has 0 examples"),
    "one example": ({"windows": FEW.inputs[:1], "labels": FEW.labels[:1]}, "has 1 examples"),
    "other class": ({"windows": FEW.inputs, "labels": FEW.labels + 3}, "labels outside 0 to 2"),
    "other shape": ({"windows": FEW.inputs[:, :1], "labels": FEW.labels}, "is needed"),
    "no labels": ({"windows": FEW.inputs}, "windows and labels"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_unusable_examples_are_refused_when_the_device_joins(
    what: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays, message = UNUSABLE[what]
    np.savez(tmp_path / "mine.npz", **arrays)

    assert join(arguments, "--data", str(tmp_path / "mine.npz")) == 1

    assert message in capsys.readouterr().err


def test_missing_examples_are_refused_when_the_device_joins(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert join(arguments, "--data", "/absent.npz") == 1

    assert "/absent.npz: No such file or directory" in capsys.readouterr().err


def test_budget_without_a_capacity_is_refused_when_the_device_joins(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert join(arguments, "--memory-kb", "0.1") == 1

    assert "admits no capacity of tiny-1-" in capsys.readouterr().err
