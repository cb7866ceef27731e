"""Writes and reads folders of probes.

Probes are networks with random widths, whose latencies a device measures.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nestling_cloud.atomic_file import write_whole
from nestling_cloud.bundles.export import export_capacity
from nestling_cloud.errors import CloudError
from nestling_cloud.latency.family import Family, family_fields, family_of
from nestling_cloud.latency.network import Int8Network, int8_network
from nestling_cloud.latency.widths import Widths, random_widths
from nestling_cloud.progress import Progress
from nestling_core.nest.bundle_files import Activations
from nestling_core.parsing.untrusted_data import parse_json
from nestling_core.student.blocks import SizesError

FILE_NAME = "probes.json"
_FORMAT = 1


class ProbesError(CloudError):
    """Raised when a folder of probes is not empty before writing, or cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One network to measure.

    Attributes:
        model: the path of the network's ONNX file, relative to the folder of probes.
        sha256: the digest of the ONNX file, which shows whether a device measured this file. It
            does not cover the weights, which are in other files.
        widths: the number of channels of every block that has its own width, in order.
    """

    model: str
    sha256: str
    widths: Widths


@dataclass(frozen=True, kw_only=True)
class Probes:
    """The content of a folder of probes.

    Attributes:
        family: the family of the networks.
        probes: the networks.
    """

    family: Family
    probes: tuple[Probe, ...]


def write_probes(
    folder: Path,
    family: Family,
    *,
    count: int,
    seed: int,
    progress: Progress,
    activations: Activations = "uint8",
) -> Probes:
    """Write a folder of networks with random widths, and return its content.

    Each network has its own subfolder, and `probes.json` lists the networks.

    Args:
        folder: the folder to write to, which must be empty. It is created if it does not exist.
        family: the family of the networks.
        count: the number of networks. The first has the full widths, and the second the smallest
            widths.
        seed: the random seed of the widths and the weights.
        progress: the progress display, advanced once per network.
        activations: the integer type of the activations, which should suit the device's processor.

    Raises:
        ProbesError: the folder is not empty.
        SizesError: the family has no student with the widths of one of the networks.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise ProbesError(f"{folder} is not empty; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = random_widths(family.config, count, rng)
    written = Probes(
        family=family,
        probes=tuple(
            _write(folder, number, int8_network(family, row, rng, activations), row)
            for number, row in enumerate(progress.track(rows, len(rows), f"{count} probes"))
        ),
    )
    # Written last and atomically, so that a folder that has it has every network.
    write_whole(folder / FILE_NAME, _text(written).encode())
    return written


def read_probes(folder: Path) -> Probes:
    """Return the description of a folder of probes, read from its `probes.json`.

    Raises:
        ProbesError: the file does not exist, is damaged, or has an unsupported format.
    """
    path = folder / FILE_NAME
    try:
        fields = parse_json(path.read_bytes())
        if fields["format"] != _FORMAT:
            raise ProbesError(
                f"{path} has format {fields['format']}, not {_FORMAT}; write the probes again"
            )
        probes = tuple(
            Probe(model=entry["model"], sha256=entry["sha256"], widths=tuple(entry["widths"]))
            for entry in fields["probes"]
        )
        return Probes(family=family_of(fields), probes=probes)
    except OSError as err:
        raise ProbesError(
            f"cannot read {path}: {err.strerror}; name a folder that nestling-cloud latency probes "
            "has written"
        ) from err
    except (ValueError, KeyError, TypeError, SizesError) as err:
        raise ProbesError(
            f"{path} does not describe probes ({err}); write the probes again"
        ) from err


def _write(folder: Path, number: int, network: Int8Network, row: Widths) -> Probe:
    own = folder / f"probe-{number:03}"
    own.mkdir()
    path = export_capacity(own, network.template, network.tensors, 1)
    return Probe(
        model=str(path.relative_to(folder)),
        sha256=hashlib.sha256(network.template).hexdigest(),
        widths=row,
    )


def _text(written: Probes) -> str:
    probes = [asdict(probe) for probe in written.probes]
    return json.dumps({"format": _FORMAT, **family_fields(written.family), "probes": probes}) + "\n"
