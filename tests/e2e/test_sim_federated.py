"""A complete federated scenario: a fleet answers, learns, installs the bundle, answers again."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.progress import SilentProgress
from nestling_sim.run.run import RunConfig, run
from nestling_sim.scenario.scenario import load_scenario
from tests.support.fleet_tasks import task_reference

DEVICES = ("pi-zero-2w-1", "pi-4b-1", "pi-5-1")
SCENARIO = Path(__file__).parent / "three_learners.toml"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A finished run.

    Attributes:
        summary: its summary.
        folder: its output folder.
        cache: the cache that it started with.
        left: names of files that it left in the folder for temporary files.
    """

    summary: dict[str, Any]
    folder: Path
    cache: Path
    left: list[str]

    @property
    def federated(self) -> dict[str, Any]:
        federated: dict[str, Any] = self.summary["federated"]
        return federated

    @property
    def receipts(self) -> list[dict[str, Any]]:
        lines = (self.folder / "receipts.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The receipts without those of follow-ups."""
        return [row for row in self.receipts if row["follows"] is None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("learners")
    temporary = folder / "tmp"
    temporary.mkdir()
    scenario = load_scenario(SCENARIO).model_copy(update={"task": task_reference("SLOW")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(temporary))
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder / "torchinductor"))
        config = RunConfig(scenario=scenario, out=folder / "runs", cache=folder / "cache")
        result = run(config, SilentProgress())
    return Finished(
        summary=json.loads((result.folder / "summary.json").read_text()),
        folder=result.folder,
        cache=folder / "cache",
        left=[path.name for path in temporary.iterdir()],
    )


def test_fleet_installs_the_bundle_that_it_learned(finished: Finished) -> None:
    released = finished.federated["released"]

    assert released == finished.summary["bundle_version"]
    assert released.startswith("tiny-2-")
    for device in DEVICES:
        versions = [row["bundle_version"] for row in finished.answers if row["device"] == device]
        half = len(versions) // 2
        assert set(versions[:half]) == {finished.federated["bundle_before"]}
        assert set(versions[half:]) == {released}


def test_same_inputs_are_answered_before_and_after_and_stored_once(finished: Finished) -> None:
    assert finished.summary["answered"] == finished.summary["inputs"]
    assert finished.summary["receipts"]["lost"] == 0
    assert finished.summary["receipts"]["duplicate"] == 0
    assert len(finished.answers) == 2 * finished.summary["inputs"]


def test_every_device_participates_with_the_capacity_it_holds(finished: Finished) -> None:
    assert [one["participants"] for one in finished.federated["rounds"]] == [3, 3]
    assert [one["dropped"] for one in finished.federated["rounds"]] == [[], []]
    assert [finished.federated["devices"][name]["capacity"] for name in DEVICES] == [1, 2, 3]


def test_gain_is_reported_for_every_device_and_the_fleet(finished: Finished) -> None:
    federated = finished.federated
    results = [federated, *federated["devices"].values()]

    for one in results:
        for when in ("before", "after"):
            assert 0 <= one[when]["device_only"] <= 1
            assert 0 <= one[when]["hybrid"] <= 1
    assert federated["after"]["device_only"] >= federated["before"]["device_only"]
    assert federated["after"]["hybrid"] == pytest.approx(finished.summary["accuracy"]["hybrid"])


def test_report_shows_the_federated_rounds(finished: Finished) -> None:
    page = (finished.folder / "report.html").read_text()

    assert "Learned in federated rounds" in page
    assert f"Released: {finished.federated['released']}" in page
    assert 'aria-label="Picture: federated' in page


def test_cache_keeps_the_first_bundle_and_nothing_is_left(finished: Finished) -> None:
    (repository,) = (finished.cache / "bundles").iterdir()

    assert Repository(repository).manifest().release == 1
    assert finished.left == []
