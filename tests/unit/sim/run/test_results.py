"""A run's files are written completely or not at all, and a failure is reported."""

import json
from pathlib import Path

import pytest

from nestling_sim.report import Evidence
from nestling_sim.run.results import ResultsError, write_results


def test_results_are_three_files_in_a_new_folder(tmp_path: Path, evidence: Evidence) -> None:
    out = tmp_path / "made" / "runs"

    folder = write_results(out, evidence.summary, evidence.receipts, "page")

    assert [folder] == list(out.iterdir())
    assert json.loads((folder / "summary.json").read_text()) == dict(evidence.summary)
    assert len((folder / "receipts.jsonl").read_text().splitlines()) == len(evidence.receipts)
    assert (folder / "report.html").read_text() == "page"


def test_unwritable_folder_is_reported(evidence: Evidence) -> None:
    with pytest.raises(ResultsError, match="/proc/runs cannot be written: "):
        write_results(Path("/proc/runs"), evidence.summary, evidence.receipts, "page")
