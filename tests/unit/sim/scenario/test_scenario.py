from pathlib import Path

import pytest

from nestling.topics import check_device_id
from nestling_sim.scenario.scenario import ScenarioError, built_in_scenarios, load_scenario

SMALL = """
task = "wearable"
seed = 7

[offload]
share = 0.2
deadline_ms = 500.0

[[devices]]
profile = "pi-zero-2w"
count = 2
memory_kb = 8
latency_ms = 1000.0
energy_mj = 50.0
link = "wifi"
mbit_s = 2.1
rtt_ms = 30.0

[[devices]]
profile = "pi-zero-2w"
count = 1
memory_kb = 16.5
latency_ms = 1000.0
energy_mj = 50.0
link = "lte"
mbit_s = 5.0
rtt_ms = 60.0
delivery = "mqtt"

[[conditions]]
kind = "memory"
devices = ["pi-zero-2w"]
from = 0.2
until = 0.5
memory_kb = 4

[[conditions]]
kind = "outage"
devices = ["*"]
from = 0.5
until = 1.0
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_every_built_in_scenario_loads() -> None:
    names = built_in_scenarios()

    assert "wearable" in names
    for name in names:
        assert load_scenario(name).fleet()


def test_default_scenario_has_three_of_each_profile_one_over_mqtt_and_all_conditions() -> None:
    scenario = load_scenario("wearable")

    fleet = scenario.fleet()
    assert sorted(["pi-zero-2w", "pi-4b", "pi-5"] * 3) == sorted(one.profile for one in fleet)
    assert [one.delivery for one in fleet].count("mqtt") == 1
    assert {entry.kind for entry in scenario.conditions} == {"memory", "battery", "link", "outage"}


def test_device_numbers_continue_over_tables_of_one_profile(tmp_path: Path) -> None:
    fleet = load_scenario(write(tmp_path, SMALL)).fleet()

    assert [one.device_id for one in fleet] == ["pi-zero-2w-1", "pi-zero-2w-2", "pi-zero-2w-3"]
    assert [one.delivery for one in fleet] == ["grpc", "grpc", "mqtt"]
    assert [one.memory.memory_bytes([1]) for one in fleet] == [8000, 8000, 16500]
    for one in fleet:
        check_device_id(one.device_id)


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        (
            'energy_mj = 50.0\nlink = "lte"',
            'enrgy_mj = 50.0\nlink = "lte"',
            [
                "[[devices]] table 2, key enrgy_mj: unknown key (did you mean 'energy_mj'?)",
                "; allowed: count, delivery, energy_for_offloads, energy_mj, ",
            ],
        ),
        (
            'energy_mj = 50.0\nlink = "lte"',
            'link = "lte"',
            [
                "[[devices]] table 2: found no energy limit; give one of the keys energy_mj and ",
                "energy_for_offloads",
            ],
        ),
        (
            'energy_mj = 50.0\nlink = "lte"',
            'energy_mj = 50.0\nenergy_for_offloads = 2.0\nlink = "lte"',
            ["[[devices]] table 2: found energy_mj and energy_for_offloads; give one of the keys "],
        ),
        (
            'link = "lte"',
            'link = "lt"',
            ["table 2, key link: found 'lt' (did you mean 'lte'?); allowed: wifi, ", "nb-iot"],
        ),
        ("seed = 7", 'seed = "7"', ["key seed: found '7'; ", "valid integer"]),
        ("seed = 7", "seeds = 7", ["key seeds: unknown key (did you mean 'seed'?)"]),
        ("share = 0.2", "share = 1.2", ["[offload], key share: found 1.2; allowed: at most 1"]),
        ("share = 0.2", "share = nan", ["[offload], key share: found nan; ", "finite"]),
        (
            "share = 0.2",
            "shore = 0.2",
            ["allowed: audit_share, deadline_ms, defer, energy_per_input_mj, latency_per_input_ms"],
        ),
        ("share = 0.2", "", ["key offload: no target is given; give it a share, from 0 to 1"]),
        ("memory_kb = 4", "memory_kb = 0", ["[[conditions]] table 1, key memory_kb: found 0; "]),
        ("memory_kb = 4", "memory = 4", ["did you mean 'memory_kb'?", "allowed: devices, from, "]),
        (
            "memory_kb = 8",
            "memory_kb = 8\nmemory_for_capacity = 1",
            [
                "[[devices]] table 1: found memory_kb and memory_for_capacity; give one of the ",
                "keys memory_kb and memory_for_capacity",
            ],
        ),
        (
            "memory_kb = 16.5",
            "",
            ["[[devices]] table 2: found no memory; give one of the keys memory_kb and "],
        ),
        ("memory_kb = 4", "", ["[[conditions]] table 1: found no memory; give one of the keys "]),
        (
            "memory_kb = 4",
            "memory_for_capacity = 0",
            ["[[conditions]] table 1, key memory_for_capacity: found 0; allowed: at least 1"],
        ),
        (
            'kind = "memory"',
            'kind = "memry"',
            ["[[conditions]] table 1: key kind: found 'memry' (did you mean 'memory'?); allowed: "],
        ),
        ('kind = "memory"', "", ["[[conditions]] table 1: key kind is missing"]),
        (
            "until = 0.5",
            "until = 0.1",
            ["[[conditions]] table 1: found from = 0.2 and until = 0.1"],
        ),
        (
            'devices = ["pi-zero-2w"]',
            'devices = ["pi-zero-2w-4"]',
            ["[[conditions]] table 1, key devices: found 'pi-zero-2w-4' (did you mean 'pi-zero-2w"],
        ),
        (
            'devices = ["*"]',
            'devices = "*"',
            ["[[conditions]] table 2, key devices: found '*'; ", "list"],
        ),
        ("[offload]", "[offload", ["not TOML: ", "line 5"]),
    ],
)
def test_invalid_entry_is_reported_with_file_place_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, texts: list[str]
) -> None:
    assert old in SMALL
    path = write(tmp_path, SMALL.replace(old, new, 1))

    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)

    assert str(caught.value).startswith(f"{path}: ")
    for text in texts:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    "target", ["tolerated_risk = 0.05", "energy_per_input_mj = 2.0", "latency_per_input_ms = 9.0"]
)
def test_another_target_needs_no_share(tmp_path: Path, target: str) -> None:
    scenario = load_scenario(write(tmp_path, SMALL.replace("share = 0.2", target)))

    assert scenario.offload.share == 0


def test_every_fault_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    text = SMALL.replace("seed = 7", "seed = -1").replace("count = 1", "count = 0")

    with pytest.raises(ScenarioError) as caught:
        load_scenario(write(tmp_path, text))

    assert len(str(caught.value).splitlines()) == 2


def test_fault_in_the_only_device_is_reported_once(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    one_device = SMALL.partition('[[devices]]\nprofile = "pi-zero-2w"\ncount = 1')[0]
    path.write_text(one_device.replace("pi-zero-2w", "pi-6"), "utf-8")

    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)

    assert len(str(caught.value).splitlines()) == 1


def test_unknown_built_in_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ScenarioError, match=r"no scenario 'wearble' \(did you mean 'wearable'\?\)"):
        load_scenario("wearble")


def test_missing_file_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.toml: not a readable TOML file"):
        load_scenario(tmp_path / "none.toml")
