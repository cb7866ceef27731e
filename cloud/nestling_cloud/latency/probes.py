"""Probes: networks of a family at random widths, in a folder, for a machine to measure."""

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
from nestling_core.parsing.untrusted import parse_json
from nestling_core.student.blocks import SizesError

FILE_NAME = "probes.json"
_FORMAT = 1


class ProbesError(CloudError):
    """A folder of probes that cannot be written or read."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One network to measure.

    Attributes:
        model: its ONNX file, relative to the folder.
        sha256: of that file: what a table says of another one counts for nothing.
        widths: channels of every block that has any of its own.
    """

    model: str
    sha256: str
    widths: Widths


@dataclass(frozen=True, kw_only=True)
class Probes:
    """A folder of probes: the family, and its networks."""

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
    """Write networks of random widths: each in a folder of its own, `probes.json` beside them.

    Args:
        folder: made if need be; must be empty.
        family: the student's.
        count: number of networks; the whole student and the narrowest are always among them.
        seed: of widths and weights.
        progress: told of every network.
        activations: that the processor which is to measure them is made for.

    Raises:
        ProbesError: the folder has files in it.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise ProbesError(f"{folder} has files in it; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows = random_widths(family.config, count, rng)
    found = Probes(
        family=family,
        probes=tuple(
            _write(folder, number, int8_network(family, row, rng, activations), row)
            for number, row in enumerate(progress.track(rows, len(rows), f"{count} probes"))
        ),
    )
    # Last, and as a whole: a folder that has it has every network.
    write_whole(folder / FILE_NAME, _text(found).encode())
    return found


def read_probes(folder: Path) -> Probes:
    """Read what `write_probes` wrote beside the networks.

    Raises:
        ProbesError: there is none, or it is damaged.
    """
    path = folder / FILE_NAME
    try:
        fields = parse_json(path.read_bytes())
        if fields["format"] != _FORMAT:
            raise ProbesError(f"{path} is of format {fields['format']}, not {_FORMAT}")
        probes = tuple(
            Probe(model=one["model"], sha256=one["sha256"], widths=tuple(one["widths"]))
            for one in fields["probes"]
        )
        return Probes(family=family_of(fields), probes=probes)
    except OSError as err:
        raise ProbesError(
            f"{path}: {err.strerror}; nestling-cloud latency probes writes such a folder"
        ) from err
    except (ValueError, KeyError, TypeError, SizesError) as err:
        raise ProbesError(f"{path} does not tell of probes ({err}); write them again") from err


def _write(folder: Path, number: int, network: Int8Network, row: Widths) -> Probe:
    own = folder / f"probe-{number:03}"
    own.mkdir()
    path = export_capacity(own, network.template, network.tensors, 1)
    return Probe(
        model=str(path.relative_to(folder)),
        sha256=hashlib.sha256(network.template).hexdigest(),
        widths=row,
    )


def _text(found: Probes) -> str:
    probes = [asdict(probe) for probe in found.probes]
    return json.dumps({"format": _FORMAT, **family_fields(found.family), "probes": probes}) + "\n"
