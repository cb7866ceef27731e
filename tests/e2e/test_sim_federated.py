"""The federated scenario, whole: a fleet answers, learns, takes the new bundle, answers again."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.progress import Silent
from nestling_sim.run.run import RunConfig, run
from nestling_sim.scenario.scenario import load_scenario
from tests.support.fleet_tasks import task_reference

DEVICES = ("pi-zero-2w-1", "pi-4b-1", "pi-5-1")
SCENARIO = Path(__file__).parent / "three_learners.toml"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run: its figures, its folder, the cache it began with."""

    summary: dict[str, Any]
    folder: Path
    cache: Path
    left: list[str]

    @property
    def story(self) -> dict[str, Any]:
        told: dict[str, Any] = self.summary["federated"]
        return told

    @property
    def receipts(self) -> list[dict[str, Any]]:
        lines = (self.folder / "receipts.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


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
        result = run(config, Silent())
    return Finished(
        summary=json.loads((result.folder / "summary.json").read_text()),
        folder=result.folder,
        cache=folder / "cache",
        left=[path.name for path in temporary.iterdir()],
    )


def test_fleet_takes_up_the_bundle_that_it_learned(finished: Finished) -> None:
    released = finished.story["released"]

    assert released == finished.summary["bundle_version"]
    assert released.startswith("tiny-2-")
    for device in DEVICES:
        versions = [row["bundle_version"] for row in finished.receipts if row["device"] == device]
        half = len(versions) // 2
        assert set(versions[:half]) == {finished.story["bundle_before"]}
        assert set(versions[half:]) == {released}


def test_same_inputs_are_answered_before_and_after_and_stored_once(finished: Finished) -> None:
    assert finished.summary["answered"] == finished.summary["inputs"]
    assert finished.summary["receipts"]["lost"] == 0
    assert finished.summary["receipts"]["duplicate"] == 0
    assert len(finished.receipts) == 2 * finished.summary["inputs"]


def test_every_device_took_part_with_what_it_holds(finished: Finished) -> None:
    assert [one["participants"] for one in finished.story["rounds"]] == [3, 3]
    assert [one["dropped"] for one in finished.story["rounds"]] == [[], []]
    assert [finished.story["devices"][name]["capacity"] for name in DEVICES] == [1, 2, 3]


def test_gain_is_told_for_every_device_and_the_fleet(finished: Finished) -> None:
    story = finished.story
    told = [story, *story["devices"].values()]

    for one in told:
        for when in ("before", "after"):
            assert 0 <= one[when]["device_only"] <= 1
            assert 0 <= one[when]["hybrid"] <= 1
    assert story["after"]["device_only"] >= story["before"]["device_only"]
    assert story["after"]["hybrid"] == pytest.approx(finished.summary["accuracy"]["hybrid"])


def test_report_shows_what_was_learned(finished: Finished) -> None:
    page = (finished.folder / "report.html").read_text()

    assert "Learned in federated rounds" in page
    assert f"Released: {finished.story['released']}" in page
    assert 'aria-label="Picture: federated' in page


def test_cache_keeps_the_first_bundle_and_nothing_is_left(finished: Finished) -> None:
    (repository,) = (finished.cache / "bundles").iterdir()

    assert Repository(repository).manifest().release == 1
    assert finished.left == []
