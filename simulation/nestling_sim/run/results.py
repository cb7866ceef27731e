"""Writes the results of a run: the summary, the receipts and the report."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_cloud.temporary_files import temporary_folder
from nestling_sim.errors import SimError


class ResultsError(SimError):
    """Raised when the results of a run cannot be written."""


def write_results(
    out: Path, summary: Mapping[str, Any], receipts: Sequence[ReceiptRow], page: str
) -> Path:
    """Write all files of a run into a new folder, or none of them.

    The files are summary.json, receipts.jsonl (one receipt per line) and report.html.

    Args:
        out: the parent of the new folder. It is created if necessary.
        summary: the content of summary.json.
        receipts: the receipts that the cloud stored.
        page: the content of report.html.

    Returns:
        The new folder.

    Raises:
        ResultsError: the disk is full, or the folder cannot be written for another reason.
    """
    try:
        return _write_whole(out, summary, receipts, page)
    except OSError as err:
        raise ResultsError(
            f"{out} cannot be written: {err}; name another folder with --out"
        ) from err


def _write_whole(
    out: Path, summary: Mapping[str, Any], receipts: Sequence[ReceiptRow], page: str
) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    with temporary_folder(".making-", out) as making:
        making.chmod(0o755)
        (making / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
        with (making / "receipts.jsonl").open("w", encoding="utf-8") as lines:
            for row in receipts:
                lines.write(json.dumps(dataclasses.asdict(row)) + "\n")
        (making / "report.html").write_text(page, "utf-8")
        started = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
        folder = out / f"{summary['task']}-{summary['seed']}-{started}"
        making.rename(folder)
    return folder
