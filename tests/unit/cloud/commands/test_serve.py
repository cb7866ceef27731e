from pathlib import Path

import pytest

from nestling_cloud import cli


@pytest.mark.parametrize("count", ["0", "-1", "20001", "many", "1.5"])
def test_number_of_inputs_to_keep_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", "--repository", str(tmp_path), f"--keep-per-device={count}"])

    assert ended.value.code == 2
    assert "is not a number from 1 to 20000" in capsys.readouterr().err
