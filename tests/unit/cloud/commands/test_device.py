import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nestling_cloud import cli
from nestling_cloud.fleet.authority import Authority
from nestling_core.enrolment_token import EnrolmentToken

CLOUD = ("--cloud", "cloud.lan:8501")


def add(state: Path, *arguments: str) -> int:
    return cli.main(["device", "add", "porch", "--state", str(state), *CLOUD, *arguments])


def test_token_is_alone_on_standard_output_and_in_no_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(tmp_path / "cloud") == 0

    output = capsys.readouterr()
    assert EnrolmentToken.from_text(output.out).device_id == "porch"
    assert len(output.out.splitlines()) == 1
    assert output.out.strip() not in output.err
    assert "nestling-device enrol --cloud cloud.lan:8501 --token-file -\n" in output.err


def test_token_file_is_readable_by_its_owner_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "porch.token"
    file.write_text("an old one")
    file.chmod(0o644)

    assert add(tmp_path / "cloud", "--token-file", str(file)) == 0

    output = capsys.readouterr()
    assert EnrolmentToken.from_text(file.read_text()).device_id == "porch"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert output.out == ""
    assert file.read_text().strip() not in output.err
    assert "--token-file porch.token\n" in output.err


def test_unwritable_token_file_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(tmp_path / "cloud", "--token-file", str(tmp_path)) == 1

    assert "another --token-file" in capsys.readouterr().err


def test_json_flag_prints_the_token_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(tmp_path / "cloud", "--json") == 0

    output = json.loads(capsys.readouterr().out)
    assert output["cloud"] == "cloud.lan:8501"
    assert EnrolmentToken.from_text(output["token"]).device_id == "porch"


def test_address_with_a_scheme_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["device", "add", "porch", "--state", str(tmp_path), "--cloud", "https://c:1"])

    assert "leave out https://" in capsys.readouterr().err


def test_token_that_no_device_could_use_is_not_created(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ahead() -> datetime:
        return (datetime.now(UTC) + timedelta(days=400)).replace(microsecond=0)

    Authority.open(tmp_path / "cloud" / "authority", ahead)

    assert add(tmp_path / "cloud") == 1

    output = capsys.readouterr()
    assert output.out == ""
    assert "set the clock" in output.err
