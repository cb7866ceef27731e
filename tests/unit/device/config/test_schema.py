import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from nestling_device.config.schema import Config, ConfigError, read_config, with_values

SHIPPED = Path(__file__).parents[4] / "deploy" / "raspberry-pi" / "device.toml"


def error_of(folder: Path, text: str) -> str:
    path = folder / "device.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def test_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.touch()

    assert Config() == read_config(path)


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.write_text(
        '[device]\nid = "porch"\n[budget]\nlatency_ms = 5\n'
        "[source]\nkeep_answered = false\ni2c_address = 0x69\n"
    )

    config = read_config(path)

    assert (config.device.id, config.budget.latency_ms) == ("porch", 5.0)
    assert (config.source.keep_answered, config.source.i2c_address) == (False, 0x69)
    assert config.board == Config().board


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[budgets]\n", "unknown table 'budgets', did you mean 'budget'? allowed: device, cloud"),
        ("id = 'x'\n", "unknown table 'id'; allowed: device, cloud"),
        ("device = 'x'\n", "[device]: found 'x'; allowed: a table"),
        (
            "[budget]\nlatency = 5\n",
            "unknown [budget]: key 'latency', did you mean 'latency_ms'? allowed: memory_kb,",
        ),
        (
            "[budget]\nlatency_ms = 'fast'\n",
            "[budget] latency_ms: found 'fast'; allowed: a number above 0",
        ),
        ("[budget]\nlatency_ms = true\n", "found True; allowed: a number above 0"),
        ("[budget]\nmemory_kb = 0\n", "found 0; allowed: a number above 0"),
        ("[budget]\nenergy_mj = nan\n", "found nan; allowed: a number above 0"),
        ("[budget]\nenergy_mj = inf\n", "found inf; allowed: a number above 0"),
        (f"[budget]\nenergy_mj = {10**400}\n", "allowed: a number above 0"),
        ("[budget]\noffload_share = 1.5\n", "found 1.5; allowed: a number from 0 to 1"),
        ("[budget]\naudit_share = 1.01\n", "found 1.01; allowed: a number from 0 to 1"),
        ("[budget]\naudit_share = -0.1\n", "found -0.1; allowed: a number from 0 to 1"),
        ("[budget]\naudit_share = nan\n", "found nan; allowed: a number from 0 to 1"),
        ("[budget]\naudit_share = true\n", "found True; allowed: a number from 0 to 1"),
        ("[budget]\ndefer = 1\n", "[budget] defer: found 1; allowed: true, false"),
        ("[budget]\ndefer = 'true'\n", "found 'true'; allowed: true, false"),
        ("[cloud]\naddress = 'cloud'\n", "found 'cloud'; allowed: HOST:PORT"),
        ("[cloud]\nbroker = 8883\n", "found 8883; allowed: HOST:PORT"),
        ("[board]\nprofile = 'pi-4'\n", "found 'pi-4'; allowed: pi-zero-2w, pi-4b, pi-5"),
        ("[device]\nid = 'a/b'\n", "found 'a/b'; allowed: a device id"),
        ("[source]\nkeep_answered = 1\n", "found 1; allowed: true, false"),
        ("[source]\ni2c_bus = 1.5\n", "found 1.5; allowed: a whole number from 0 to 255"),
        ("[source]\nrate_hz = 0.1\n", "found 0.1; allowed: a number from 1 to 500"),
        ("[device\n", "is not TOML"),
    ],
)
def test_invalid_entry_is_named_with_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    assert message in error_of(tmp_path, text)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; name another with --config"):
        read_config(tmp_path / "device.toml")


def test_file_in_utf16_is_refused(tmp_path: Path) -> None:
    (tmp_path / "device.toml").write_bytes("[device]\n".encode("utf-16"))

    with pytest.raises(ConfigError, match=r"device\.toml: this is UTF-16: save it as UTF-8"):
        read_config(tmp_path / "device.toml")


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "device.toml").write_text('[device]\nid = "porch"\n', "utf-8-sig")

    assert read_config(tmp_path / "device.toml").device.id == "porch"


def test_address_with_a_scheme_is_refused_with_the_format(tmp_path: Path) -> None:
    (tmp_path / "device.toml").write_text('[cloud]\naddress = "https://cloud.lan:8500"\n')

    with pytest.raises(ConfigError, match="HOST:PORT without https://"):
        read_config(tmp_path / "device.toml")


def test_given_values_replace_those_of_the_configuration() -> None:
    config = with_values(Config(), {("device", "id"): "porch", ("budget", "memory_kb"): 7.0})

    assert (config.device.id, config.budget.memory_kb) == ("porch", 7.0)
    assert config.cloud == Config().cloud


def test_shipped_file_is_valid_and_has_every_key() -> None:
    config = read_config(SHIPPED)
    keys = tomllib.loads(SHIPPED.read_text("utf-8"))

    assert {name: set(table) for name, table in keys.items()} == {
        table.name: {key.name for key in dataclasses.fields(getattr(config, table.name))}
        for table in dataclasses.fields(Config)
    }


def test_shipped_file_explains_every_key_and_its_default() -> None:
    text = SHIPPED.read_text("utf-8")
    unexplained = [
        key.name
        for table in dataclasses.fields(Config)
        for key in dataclasses.fields(getattr(Config(), table.name))
        if not re.search(rf"^# .*\n{key.name} = ", text, re.MULTILINE)
    ]
    explained = re.findall(r"(?:^#.*\n)+(?=\w+ = )", text, re.MULTILINE)

    assert unexplained == []
    assert all(re.search("Default: ", comment) for comment in explained)


def test_shipped_file_has_the_defaults_except_for_the_state_folder() -> None:
    config = read_config(SHIPPED)

    assert config.device.state == "/var/lib/nestling"
    assert Config() == with_values(config, {("device", "state"): ""})
