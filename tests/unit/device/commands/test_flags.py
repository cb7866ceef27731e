import argparse
from pathlib import Path

import pytest

from nestling_device.commands import flags
from nestling_device.config.schema import Config


def read(*arguments: str) -> Config:
    parser = argparse.ArgumentParser()
    flags.add_config(parser)
    flags.add_cloud(parser)
    flags.add_device(parser)
    flags.add_source(parser)
    flags.add_budget(parser)
    return flags.read(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        ("golden", "golden", ""),
        ("day.npy", "recording", "day.npy"),
        ("a/cat.JPG", "recording", "a/cat.JPG"),
        ("yes.wav", "recording", "yes.wav"),
        ("a:b/day.npy", "recording", "a:b/day.npy"),
        ("recording:day", "recording", "day"),
        ("folder:/in/x.npy", "folder", "/in/x.npy"),
        ("socket:/run/nestling/inputs", "socket", "/run/nestling/inputs"),
        ("camera", "camera", ""),
        ("imu", "imu", ""),
    ],
)
def test_source_is_a_file_or_a_kind_with_a_path(text: str, kind: str, path: str) -> None:
    source = read("--source", text).source

    assert (source.kind, source.path) == (kind, path)


@pytest.mark.parametrize("text", ["", "day.txt", "telepathy", "folders:/in"])
def test_unknown_source_is_refused_with_the_allowed_ones(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read("--source", text)

    assert "allowed: FILE.npy, folder:DIR, socket:PATH" in capsys.readouterr().err


def test_flags_override_only_their_own_settings(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.write_text('[device]\nid = "porch"\n[budget]\nmemory_kb = 7\nlatency_ms = 9\n')

    config = read("--config", str(path), "--latency-ms", "11")

    assert (config.device.id, config.budget.memory_kb) == ("porch", 7)
    assert config.budget.latency_ms == 11


def test_defaults_apply_without_file_and_flags() -> None:
    assert read() == Config()


def test_inputs_may_be_asked_about_later_only_if_a_flag_or_the_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.write_text("[budget]\ndefer = true\naudit_share = 0.25\n")

    unset, file = read().budget, read("--config", str(path)).budget
    given = read("--config", str(path), "--defer", "false", "--audit-share", "0").budget

    assert (unset.defer, unset.audit_share) == (False, 0.01)
    assert (file.defer, file.audit_share) == (True, 0.25)
    assert (given.defer, given.audit_share) == (False, 0)
    assert read("--defer", "true", "--audit-share", "1").budget.defer is True


@pytest.mark.parametrize(
    ("flag", "text", "allowed"),
    [
        ("--defer", "yes", "true, false"),
        ("--defer", "", "true, false"),
        ("--audit-share", "1.5", "a number from 0 to 1"),
        ("--audit-share", "-0.5", "a number from 0 to 1"),
        ("--audit-share", "nan", "a number from 0 to 1"),
        ("--audit-share", "some", "a number from 0 to 1"),
    ],
)
def test_value_that_is_not_allowed_is_refused_with_what_is(
    flag: str, text: str, allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read(f"{flag}={text}")

    assert f"found {text!r}; allowed: {allowed}" in capsys.readouterr().err
