"""Complete runs of a small fleet, from the cache to the report, over real sockets."""

import json
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_cloud.progress import SilentProgress
from nestling_cloud.store.store import RECEIPTS_FILE, Store, store_url
from nestling_cloud.tasks import load_task
from nestling_core.nest import bundle_files
from nestling_core.network.address import Address
from nestling_device.hardware.machine import activations_of
from nestling_sim.fleet.live_run import Fleet, run_fleet
from nestling_sim.fleet.streams import deal
from nestling_sim.run.cloud_process import cloud_process
from nestling_sim.run.run import Result, RunConfig, run
from nestling_sim.scenario.limits import Needs
from nestling_sim.scenario.scenario import Scenario, load_scenario
from tests.support.fleet_tasks import THREE_WRISTS, task_reference
from tests.support.stored import count_receipts
from tests.support.subscriber import subscribed

_INPUTS = 150
# Fields that depend on the clock, or that a device chooses at random.
_OF_THE_MOMENT = {"answered_at_ms", "wall_ms", "outbox_id", "fingerprint"}


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A finished run, and what it left in the folder for temporary files."""

    result: Result
    left: list[str]

    @property
    def summary(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.result.folder / "summary.json").read_text())
        return loaded

    @property
    def receipts(self) -> list[dict[str, Any]]:
        lines = (self.result.folder / "receipts.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def of(self, device: str) -> list[dict[str, Any]]:
        return [row for row in self.receipts if row["device"] == device]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    task = task_reference("SHORT")
    return load_scenario(THREE_WRISTS).model_copy(update={"task": task})


@pytest.fixture(scope="module")
def finished(
    scenario: Scenario, fleet_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    return finish(scenario, fleet_cache, tmp_path_factory.mktemp("run"), "auto")


def finish(scenario: Scenario, cache: Path, folder: Path, kind: BrokerKind) -> Finished:
    temporary = folder / "tmp"
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr(tempfile, "tempdir", str(temporary))
        config = RunConfig(scenario=scenario, out=folder / "runs", broker_kind=kind, cache=cache)
        result = run(config, SilentProgress())
    return Finished(result=result, left=[path.name for path in temporary.iterdir()])


def test_every_input_is_answered_and_every_receipt_stored_once(finished: Finished) -> None:
    summary = finished.summary

    assert summary["inputs"] == summary["answered"] == _INPUTS
    assert summary["receipts"] == {"sent": 150, "stored": 150, "lost": 0, "duplicate": 0}
    for device in ("pi-zero-2w-1", "pi-4b-1", "pi-5-1"):
        rows = finished.of(device)
        assert [row["input_index"] for row in rows] == list(range(50))
        assert [row["sequence"] for row in rows] == list(range(1, 51))


def test_inputs_fall_back_during_an_outage_and_use_the_cloud_again_after_it(
    finished: Finished,
) -> None:
    cut = range(20, 30)
    rows = finished.receipts

    fallbacks = [row for row in rows if row["reason"] == "unreachable"]
    assert len(fallbacks) == finished.summary["fallbacks"] > 0
    assert {row["input_index"] for row in fallbacks} <= set(cut)
    for row in fallbacks:
        assert row["answer"] == row["device_answer"]
        assert row["route"].startswith("capacity-")
    clouded = {row["input_index"] for row in rows if row["route"] == "cloud"}
    assert clouded
    assert not clouded & set(cut)
    assert min(clouded) < cut.start
    assert max(clouded) >= cut.stop


def test_capacity_follows_the_memory_of_the_scenario(
    finished: Finished,
) -> None:
    resident = {
        device: [row["resident_capacity"] for row in finished.of(device)]
        for device in ("pi-zero-2w-1", "pi-4b-1", "pi-5-1")
    }

    assert resident["pi-zero-2w-1"] == [1] * 50
    assert resident["pi-4b-1"] == [1] * 35 + [4] * 15
    assert resident["pi-5-1"] == [4] * 5 + [1] * 10 + [4] * 35
    assert finished.summary["capacity_switches"] == 3


def test_slow_link_and_low_battery_prevent_offloads(finished: Finished) -> None:
    slow, low = finished.of("pi-5-1")[40:45], finished.of("pi-zero-2w-1")[40:]

    assert {row["budget_link_mbit_s"] for row in slow} == {0.1}
    assert {row["budget_battery"] for row in low} == {0.002}
    assert {row["reason"] for row in slow} == {"energy_limit"}
    assert {row["reason"] for row in low} == {"low_battery"}


def test_device_downloads_only_the_rings_it_holds_and_those_it_adds(
    finished: Finished, fleet_cache: Path
) -> None:
    repository = Repository(next((fleet_cache / "bundles").iterdir()))
    desired, manifest = repository.desired(), repository.manifest()
    assert desired is not None
    down = finished.summary["bytes"]["bundle_down_by_device"]

    for device, capacity in (("pi-zero-2w-1", 1), ("pi-4b-1", 4), ("pi-5-1", 4)):
        rings = bundle_files.rings_and_templates(
            manifest, capacity, activations_of(platform.machine())
        )
        held = [*bundle_files.shared_blobs(manifest), *rings]
        size = desired.manifest.size + sum(blob.size for blob in held)
        assert size <= down[device] <= 1.02 * size  # chunks have a frame
    # The device that grew requested the desired bundle once more, and fetched nothing twice.
    assert down["pi-4b-1"] - down["pi-5-1"] == desired.ByteSize()


def test_same_seed_gives_the_same_run_on_every_broker(
    finished: Finished, scenario: Scenario, fleet_cache: Path, tmp_path: Path
) -> None:
    again = finish(scenario, fleet_cache, tmp_path, "iotcore")

    assert repeatable(finished) == repeatable(again)
    for key in ("accuracy", "routes", "reasons", "fallbacks", "capacity_switches"):
        assert finished.summary[key] == again.summary[key]
    for key in ("energy_mj_per_input", "latency_ms", "offload_share", "receipts"):
        assert finished.summary[key] == again.summary[key]
    assert again.left == []


def repeatable(one: Finished) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if key not in _OF_THE_MOMENT}
        for row in one.receipts
    ]


def test_run_writes_three_files_and_leaves_nothing_else(finished: Finished) -> None:
    folder = finished.result.folder

    assert {path.name for path in folder.iterdir()} == {
        "summary.json",
        "receipts.jsonl",
        "report.html",
    }
    assert [folder] == list(folder.parent.iterdir())
    assert folder.name.startswith("wearable-0-")
    assert finished.left == []
    assert finished.summary == finished.result.summary
    assert "prefers-color-scheme" in (folder / "report.html").read_text()


def test_summary_reports_energy_and_time(finished: Finished) -> None:
    summary = finished.summary

    assert summary["bundle_version"].startswith("wearable-1-")
    energy = summary["energy_mj_per_input"]
    assert energy["provenance"] == "modelled"
    assert energy["device_only"] < energy["hybrid"] < energy["cloud_only"]
    assert {"data", "learn", "fleet", "evaluate", "report"} == set(summary["wall_s"])
    assert set(summary["latency_ms"]) == set(summary["routes"])
    assert len(summary["capacities"]) == 4
    assert summary["bytes"]["offload_up"] == sum(row["bytes_up"] for row in finished.receipts)


@pytest.fixture
def watched(
    scenario: Scenario, fleet_cache: Path, tmp_path: Path
) -> Iterator[tuple[list[str], int]]:
    """Run a fleet; return the topics that another client saw, and the number of stored receipts."""
    splits = load_task(scenario.task).load_checked(None, scenario.seed)
    streams = deal(splits.test, 3, scenario.seed)
    repository = Repository(next((fleet_cache / "bundles").iterdir()))
    state = tmp_path / "cloud"
    with cloud_process(repository.root, state) as addresses:
        broker = Address.parse(addresses.broker)
        with subscribed(broker.host, broker.port, "spBv1.0/#") as stranger:
            fleet = Fleet(
                scenario=scenario,
                streams={
                    one.device_id: stream.examples
                    for one, stream in zip(scenario.fleet(), streams, strict=True)
                },
                needs=Needs.of(repository.manifest()),
                addresses=addresses,
                state_dir=tmp_path / "devices",
            )
            run_fleet(fleet, SilentProgress())
            topics = [each.topic for each in stranger.rest()]
    with Store(store_url(str(state / RECEIPTS_FILE))) as stored:
        yield topics, count_receipts(stored)


def test_other_client_sees_sparkplug_topics_and_a_birth_before_any_data(
    watched: tuple[list[str], int],
) -> None:
    topics, stored = watched

    assert stored == _INPUTS
    assert topics[0].startswith("spBv1.0/STATE/")
    for device in ("pi-zero-2w-1", "pi-4b-1", "pi-5-1"):
        kinds = [topic.split("/")[2] for topic in topics if topic.endswith(f"/{device}")]
        published = [kind for kind in kinds if kind in {"NBIRTH", "NDATA"}]
        assert published[0] == "NBIRTH"
        assert "NDATA" in published
    for topic in topics[1:]:
        assert topic.startswith(("spBv1.0/nestling/", "spBv1.0/STATE/"))


def test_evaluation_agrees_with_the_devices_answers(finished: Finished) -> None:
    rows = finished.receipts
    accepted = [row for row in rows if row["route"] != "cloud"]

    assert all(row["answer"] == row["device_answer"] for row in accepted)
    accuracy = finished.summary["accuracy"]
    assert accuracy["oracle_same_share"] >= accuracy["max_softmax_same_share"]
    assert accuracy["oracle_same_share"] >= accuracy["hybrid"] - 1e-9


def test_summary_says_how_the_bundle_routes(finished: Finished) -> None:
    routing, accuracy = finished.summary["routing"], finished.summary["accuracy"]

    assert routing["rule"] in routing["lines"][0]
    # The small bundle was calibrated on every second input, so it has no stream filter.
    assert not any(route["filter"] for route in routing["routes"])
    assert not any("filtered" in key for key in accuracy)
