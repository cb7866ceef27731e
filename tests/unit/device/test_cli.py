from pathlib import Path

import pytest

from nestling_device import cli
from nestling_device.commands import flags
from nestling_device.runtime import budget as budgets

RUN = ["run", "--cloud", "127.0.0.1:8500", "--broker", "127.0.0.1:1883"]


def usage_error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--cloud", "nowhere", "allowed: HOST:PORT"),
        ("--cloud", ":80", "allowed: HOST:PORT"),
        ("--broker", "host:0", "allowed: HOST:PORT"),
        ("--broker", "host:65536", "allowed: HOST:PORT"),
        ("--id", "a/b", "found 'a/b'; allowed: a device id"),
        ("--profile", "toaster", "pi-4b"),
        ("--link", "string", "wifi"),
        ("--delivery", "post", "mqtt"),
        ("--count", "0", "positive whole number"),
        ("--count", "many", "positive whole number"),
        ("--interval", "0", "a number above 0"),
        ("--memory-kb", "lots", "found 'lots'; allowed: a number above 0"),
        ("--memory-kb", "nan", "a number above 0"),
        ("--latency-ms", "inf", "a number above 0"),
        ("--energy-mj", "-1", "a number above 0"),
        ("--offload-share", "1.5", "a number from 0 to 1"),
        ("--offload-share", "nan", "a number from 0 to 1"),
        ("--offload-share", "half", "a number from 0 to 1"),
    ],
)
def test_wrong_value_exits_with_2_and_what_is_allowed(
    capsys: pytest.CaptureFixture[str], option: str, value: str, words: str
) -> None:
    assert words in usage_error(capsys, *RUN, option, value)


@pytest.mark.parametrize(
    "known", [[], ["--cloud", "127.0.0.1:8500"], ["--broker", "127.0.0.1:1883"]]
)
def test_device_that_has_not_enrolled_has_to_be_told_cloud_and_broker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], known: list[str]
) -> None:
    assert cli.main(["run", "--state", str(tmp_path), *known]) == 1

    assert "enrol this device" in capsys.readouterr().err


def test_certificate_to_renew_is_looked_for_where_the_configuration_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "device.toml"
    config.write_text(f'[device]\nstate = "{tmp_path / "configured"}"\n')

    assert cli.main(["enrol", "--renew", "--config", str(config)]) == 1

    assert str(tmp_path / "configured") in capsys.readouterr().err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])

    assert "nestling-device run --cloud" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("available", "admitted"), [(None, 20_000), (50_000, 20_000), (7_000, 7_000)]
)
def test_memory_budget_is_no_more_than_the_machine_has(
    monkeypatch: pytest.MonkeyPatch, available: int | None, admitted: int
) -> None:
    monkeypatch.setattr(budgets, "available_memory_bytes", lambda: available)
    options = cli._parser().parse_args([*RUN, "--memory-kb", "20"])

    budget = budgets.budget_of(flags.read(options))

    assert admitted == budget.memory_bytes
    assert (budget.link_mbit_s, budget.link_rtt_ms) == (5.0, 20.0)
    assert budget.offload_share == pytest.approx(0.2)


def test_state_folder_that_cannot_be_made_exits_with_1_and_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").touch()

    assert cli.main([*RUN, "--state", str(tmp_path / "state")]) == 1

    assert "name a folder that can be written" in capsys.readouterr().err
