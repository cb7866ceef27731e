"""Decodes the files of a folder once, and keeps the inputs on the disk.

The inputs are in the cache under a hash of the files' names and contents, and of how they are
decoded, so that a changed file is decoded again.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.atomic_file import write_whole
from nestling_cloud.cache_folder import cache_folder
from nestling_cloud.datasets.picture_graph import picture_graph
from nestling_cloud.datasets.recordings import read_recording
from nestling_cloud.datasets.sound_files import converted, decode_sound
from nestling_cloud.datasets.survey import Survey
from nestling_cloud.datasets.windows import cut
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.stored_inputs import StoredInputs, StoredInputsError, store_inputs
from nestling_core.media.errors import MediaError
from nestling_core.media.front_end import PictureFrontEnd
from nestling_core.media.pictures import decode_picture
from nestling_core.media.sounds import sound_input

_FORMAT = 1  # grows when the same files would give other inputs
_BATCH = 256  # files whose inputs are in memory at a time
_MOST_THREADS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedInputs:
    """The decoded inputs of a folder.

    Attributes:
        inputs: the inputs of all files, in the files' order.
        counts: the number of inputs of each file, which is 0 if the file could not be decoded.
        labels: the label of every input, if labels are in a column of the recordings.
        targets: what a regression estimates for every input, (N, targets), if it is in columns.
        faults: for each file that could not be decoded, by name, why.
    """

    inputs: StoredInputs
    counts: Sequence[int]
    labels: Sequence[str]
    targets: NDArray[np.float32]
    faults: dict[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Decoded:
    """The inputs of one file, (n, *shape), or why there are none."""

    inputs: NDArray[Any] | None
    labels: Sequence[str] = ()
    targets: Sequence[Sequence[float]] = ()
    fault: str = ""


def prepare_inputs(
    folder: Path, survey: Survey, signature: Signature, progress: Progress
) -> PreparedInputs:
    """Return the inputs of a folder, decoding its files unless the cache has them.

    A file that cannot be decoded is set aside.

    Args:
        folder: the folder.
        survey: its files, and how they become inputs.
        signature: the shape of the inputs.
        progress: the display, advanced for every file.

    Raises:
        StoredInputsError: no file can be decoded, or the disk is full or cannot be written.
    """
    place = cache_folder() / "inputs" / _key(survey, signature)
    found = _recalled(place)
    if found is not None:
        return found
    decode = _decoder(survey, signature)
    every = list[_Decoded]()
    names = [item.name for item in survey.items]
    decoded = progress.track(
        _decoded(folder, names, decode), len(names), f"decoding {len(names)} files"
    )
    store_inputs(_inputs_of(place), _batches(decoded, every))
    content = {
        "counts": [0 if one.inputs is None else len(one.inputs) for one in every],
        "labels": [label for one in every for label in one.labels],
        "targets": [row for one in every for row in one.targets],
        "faults": {name: one.fault for name, one in zip(names, every, strict=True) if one.fault},
    }
    try:
        write_whole(place.with_suffix(".json"), json.dumps(content).encode())
    except OSError as err:
        raise StoredInputsError(f"{place}.json cannot be written: {err.strerror or err}") from err
    prepared = _recalled(place)
    if prepared is None:
        raise StoredInputsError(f"{place} disappeared while it was written; run it again")
    return prepared


def _inputs_of(place: Path) -> Path:
    return place.with_suffix(".npy")


def _key(survey: Survey, signature: Signature) -> str:
    """Return a hash of everything that the inputs follow from."""
    plan = survey.plan
    content = {
        "format": _FORMAT,
        "media": survey.media,
        "shape": list(signature.shape),
        "sound": [plan.rate_hz, plan.convert],
        "windows": plan.windows and asdict(plan.windows),
        "files": [[found.file.name, found.facts.sha256] for found in survey.files],
    }
    graph = picture_graph(signature) if survey.media == "picture" else b""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode() + graph).hexdigest()[:32]


def _recalled(place: Path) -> PreparedInputs | None:
    """Return what is in the cache; None if it is missing or damaged."""
    try:
        content = json.loads(place.with_suffix(".json").read_bytes())
        prepared = PreparedInputs(
            inputs=StoredInputs(_inputs_of(place)),
            counts=content["counts"],
            labels=content["labels"],
            targets=np.array(content["targets"], np.float32),
            faults=content["faults"],
        )
    except (OSError, ValueError, KeyError, TypeError, StoredInputsError):
        return None
    return prepared if sum(prepared.counts) == len(prepared.inputs) else None


def _decoded(
    folder: Path, names: Sequence[str], decode: Callable[[str, bytes], _Decoded]
) -> Iterator[_Decoded]:
    """Yield the inputs of every file in order, decoding several at a time."""

    def one(name: str) -> _Decoded:
        try:
            return decode(name, (folder / name).read_bytes())
        except OSError as err:
            return _Decoded(inputs=None, fault=f"cannot be read: {err.strerror}")
        except MediaError as err:
            return _Decoded(inputs=None, fault=str(err))

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        waiting = iter(names)
        while batch := list(itertools.islice(waiting, _BATCH)):
            yield from pool.map(one, batch)


def _batches(decoded: Iterator[_Decoded], every: list[_Decoded]) -> Iterator[NDArray[Any]]:
    """Yield the inputs of several files at once, and collect everything but the inputs."""
    while batch := list(itertools.islice(decoded, _BATCH)):
        rows = [one.inputs for one in batch if one.inputs is not None]
        every += [
            _Decoded(
                inputs=None if one.inputs is None else one.inputs[:, :0],  # for its length
                labels=one.labels,
                targets=one.targets,
                fault=one.fault,
            )
            for one in batch
        ]
        if rows:
            yield np.concatenate(rows)


def _decoder(survey: Survey, signature: Signature) -> Callable[[str, bytes], _Decoded]:
    """Return the function that decodes a file of some name and content."""
    plan = survey.plan
    if survey.media == "picture":
        front_end = PictureFrontEnd(picture_graph(signature), signature)
        return lambda _, data: _Decoded(inputs=front_end.levels(decode_picture(data))[None])
    if survey.media == "sound":

        def sound(name: str, data: bytes) -> _Decoded:
            found = decode_sound(name, data)
            if plan.convert:
                found = converted(found, plan.rate_hz)
            length = signature.shape[1]
            return _Decoded(inputs=sound_input(found, rate_hz=plan.rate_hz, length=length)[None])

        return sound

    windows = plan.windows
    assert windows is not None

    def recording(name: str, data: bytes) -> _Decoded:
        found = cut(read_recording(name, data), windows)
        return _Decoded(inputs=found.inputs, labels=found.labels, targets=found.targets.tolist())

    return recording
