from pathlib import Path

import pytest
from tests import enrolled

from nestling_cloud.fleet.enrolment import Enrolment
from nestling_device.cli import main
from nestling_device.identity import save_identity


def test_device_without_a_bundle_is_told_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--superlink", "127.0.0.1:1", "--root-certificates", str(tmp_path / "ca.pem")]
    arguments += ["--data", str(tmp_path / "mine.npz"), "--state", str(tmp_path)]

    assert main(["federated", "join", *arguments]) == 1

    assert f"{tmp_path} is no device's state folder" in capsys.readouterr().err


def test_state_folder_is_the_one_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "device.toml"
    config.write_text(f'[device]\nstate = "{tmp_path / "configured"}"\n')
    arguments = ["--superlink", "127.0.0.1:1", "--root-certificates", str(tmp_path / "ca.pem")]
    arguments += ["--data", str(tmp_path / "mine.npz"), "--config", str(config)]

    assert main(["federated", "join", *arguments]) == 1

    assert f"{tmp_path / 'configured'} is no device's state folder" in capsys.readouterr().err


def test_state_of_another_device_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Enrolment.open(tmp_path / "cloud") as enrolment:
        save_identity(tmp_path / "porch", enrolled.papers(enrolment, "porch"))
    arguments = ["--superlink", "127.0.0.1:1", "--root-certificates", str(tmp_path / "ca.pem")]
    arguments += ["--data", str(tmp_path / "mine.npz"), "--state", str(tmp_path / "porch")]

    assert main(["federated", "join", *arguments, "--id", "attic"]) == 1

    assert "identity of 'porch', not of 'attic'" in capsys.readouterr().err
