from pathlib import Path

import pytest

from nestling_device.cli import main


def test_device_without_a_bundle_is_told_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--superlink", "127.0.0.1:1", "--root-certificates", str(tmp_path / "ca.pem")]
    arguments += ["--data", str(tmp_path / "mine.npz"), "--state", str(tmp_path)]

    assert main(["federated", "join", *arguments]) == 1

    assert "state.db does not exist" in capsys.readouterr().err
