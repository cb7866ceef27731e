"""Loads a task's data from a folder of pictures, sounds or recordings."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.datasets.facts import Media
from nestling_cloud.datasets.items import Part
from nestling_cloud.datasets.label_kinds import encode
from nestling_cloud.datasets.label_table import read_label_table
from nestling_cloud.datasets.look import look
from nestling_cloud.datasets.survey import Plan, Survey, survey
from nestling_cloud.progress import ConsoleProgress, Progress
from nestling_cloud.tasks.examples import Examples, Splits
from nestling_cloud.tasks.prepared_inputs import PreparedInputs, prepare_inputs
from nestling_cloud.tasks.task import TaskError

_log = logging.getLogger(__name__)

STREAM = 50
"""The number of independent test inputs that make one recording."""


@dataclass(frozen=True, kw_only=True)
class FolderData:
    """Loads the data of a folder, as a task's `load` does.

    Attributes:
        folder: the folder.
        media: what its files hold.
        plan: where its labels are, and how it is divided.
        table: the table of labels, or None.
        signature: the signature of the task.
    """

    folder: Path
    media: Media
    plan: Plan
    table: Path | None
    signature: Signature

    def __call__(self, data_dir: Path | None, seed: int) -> Splits:
        """Return the data of the folder.

        Progress is shown on standard error. A file that cannot be used is set aside and logged.

        Args:
            data_dir: another folder to read; None for the task's own.
            seed: the random seed of the order, and of the division unless the task has one.

        Raises:
            DatasetError: the folder cannot be read, or cannot be divided as the task says.
            StoredInputsError: the decoded inputs cannot be kept on the disk.
            TaskError: a part of the data would be empty.
        """
        progress = ConsoleProgress(Console(stderr=True))
        folder = data_dir or self.folder
        surveyed = self.survey(progress, seed, folder)
        prepared = prepare_inputs(folder, surveyed, self.signature, progress)
        _report({**surveyed.set_aside, **prepared.faults})
        return _Division(surveyed, prepared, seed).splits()

    def survey(self, progress: Progress, seed: int, folder: Path | None = None) -> Survey:
        """Look at the folder, and return what it holds.

        Args:
            progress: the display, advanced for every file.
            seed: the random seed of the division, unless the task has one.
            folder: another folder to look at; None for the task's own.

        Raises:
            DatasetError: the folder cannot be read, or cannot be divided as the task says.
        """
        table = read_label_table(self.table) if self.table is not None else None
        return survey(look(folder or self.folder, self.media, progress), self.plan, table, seed)


class _Division:
    """Divides prepared inputs into a task's splits."""

    def __init__(self, surveyed: Survey, prepared: PreparedInputs, seed: int) -> None:
        self._survey = surveyed
        self._inputs = prepared.inputs
        self._counts = prepared.counts
        self._starts = np.cumsum([0, *prepared.counts])
        self._labels = _labels(surveyed, prepared)
        self._rng = np.random.default_rng(seed)

    def splits(self) -> Splits:
        files = {part: self._files(part) for part in ("train", "calibration", "test")}
        for part, numbers in files.items():
            if not numbers:
                raise TaskError(f"no file of the {part} data can be decoded")
        return Splits(
            train=self._examples(files["train"]),
            calibration=self._examples(self._by_group(files["calibration"])),
            test=list(self._recordings(files["test"])),
            held_out=self._held_out(),
        )

    def _held_out(self) -> frozenset[str]:
        """Return the groups that are not trained on."""
        pairs = zip(self._survey.items, self._survey.parts, strict=True)
        return frozenset(item.group for item, part in pairs if part != "train" and item.group)

    def _files(self, part: Part) -> list[int]:
        """Return the numbers of the files in a part of the data that have inputs, in any order."""
        numbers = [
            number
            for number, found in enumerate(self._survey.parts)
            if found == part and self._counts[number]
        ]
        order: list[int] = self._rng.permutation(numbers).tolist()
        return order

    def _by_group(self, numbers: Sequence[int]) -> list[int]:
        """Return files ordered by their groups, which the routing then divides in two at most."""
        return sorted(numbers, key=lambda number: self._survey.items[number].group)

    def _recordings(self, numbers: Sequence[int]) -> Iterator[Examples]:
        if self._survey.plan.windows is not None:
            yield from (self._examples([number]) for number in numbers)
            return
        ordered = self._by_group(numbers)
        for start in range(0, len(ordered), STREAM):
            yield self._examples(ordered[start : start + STREAM])

    def _examples(self, numbers: Sequence[int]) -> Examples:
        rows = np.concatenate(
            [np.arange(self._starts[number], self._starts[number + 1]) for number in numbers]
        )
        is_recorded = self._survey.plan.windows is not None
        return Examples(
            inputs=self._inputs.rows(rows),
            labels=self._labels[rows],
            lengths=[self._counts[number] for number in numbers] if is_recorded else (),
        )


def _labels(surveyed: Survey, prepared: PreparedInputs) -> NDArray[Any]:
    """Return the labels of all inputs."""
    if prepared.targets.size:
        return prepared.targets
    if prepared.labels:
        rows = [(label,) for label in prepared.labels]
    else:
        pairs = zip(surveyed.items, prepared.counts, strict=True)
        rows = [item.labels for item, count in pairs for _ in range(count)]  # type: ignore[misc]
    return encode(rows, surveyed.plan.kind)


def _report(set_aside: dict[str, str]) -> None:
    if set_aside:
        name, reason = next(iter(set_aside.items()))
        more = f", and {len(set_aside) - 1} more files" if len(set_aside) > 1 else ""
        _log.warning("%s %s: it is set aside%s", name, reason, more)
