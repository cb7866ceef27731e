import locale
import tomllib
from pathlib import Path

import pytest

from nestling_cloud.federated import flower_process
from nestling_cloud.federated.flower_process import FlowerError, program, write_app
from nestling_cloud.federated.run_config import RunConfig
from nestling_core.network.address import Address

CONFIG = RunConfig(repository='/srv/a "b" \\ c', store="sqlite:///x", task="wearable", rounds=3)


def test_app_has_the_run_configuration_and_both_components(tmp_path: Path) -> None:
    write_app(tmp_path, CONFIG)

    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    flwr = project["tool"]["flwr"]["app"]
    assert RunConfig.of(flwr["config"]) == CONFIG
    for side in ("serverapp", "clientapp"):
        module, _, name = flwr["components"][side].partition(":")
        path = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
        assert f"import {name}" in path.read_text()


def test_unknown_run_configuration_keys_are_ignored() -> None:
    values = {**CONFIG.values(), "theirs": 1}

    assert RunConfig.of(values) == CONFIG


def test_flwr_output_is_read_in_any_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "flwr"
    script.write_text('#!/bin/sh\nprintf \'{"said": "\\303\\244\\377"}\'\n')
    script.chmod(0o755)
    monkeypatch.setattr(flower_process, "program", lambda _: str(script))
    monkeypatch.setattr(locale, "getpreferredencoding", lambda *_: "ascii")
    monkeypatch.setattr(locale, "getencoding", lambda: "ascii")
    link = flower_process.Link(address=Address(host="127.0.0.1", port=1), root_certificates=None)

    assert flower_process._flwr(tmp_path, link, ["ls"], 20) == '{"said": "ä\ufffd"}'


def test_missing_program_error_says_what_to_install() -> None:
    with pytest.raises(FlowerError, match=r"pip install 'nestling\[federated\]'"):
        program("flower-of-no-kind")
