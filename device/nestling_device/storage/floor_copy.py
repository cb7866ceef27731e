"""Reads and writes a second copy of the release floors.

A release floor is the newest release of a task that the device ever accepted. With the copy, older
releases stay refused even if state.db is lost.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nestling_core.parsing.untrusted_data import UnreadableError, parse_json
from nestling_device.storage.atomic_file import replace_file

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ReleaseFloor:
    """The newest release of a task that the device ever accepted.

    Attributes:
        release: the number of the release.
        manifest_sha256: the SHA-256 digest of the release's manifest.
    """

    release: int
    manifest_sha256: str


Floors = Mapping[str, ReleaseFloor]  # by task


def read_floors(path: Path) -> dict[str, ReleaseFloor]:
    """Return the release floors in the copy, as a mapping from task to release floor.

    The mapping is empty if the copy is missing or damaged. Damage is logged.
    """
    try:
        data = parse_json(path.read_bytes())
        floors = data["floors"]
        if data["sha256"] != _digest(floors):
            raise ValueError("its checksum does not match")  # noqa: TRY301 - handled below
        return {
            str(task): ReleaseFloor(release=int(release), manifest_sha256=str(sha256))
            for task, (release, sha256) in floors.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, UnreadableError, ValueError, KeyError, TypeError, AttributeError) as err:
        _log.warning("%s is damaged and will be written again: %s", path, err)
        return {}


def write_floors(path: Path, floors: Floors) -> None:
    """Replace the copy atomically.

    Args:
        path: the file of the copy.
        floors: a mapping from each task to its release floor.

    Raises:
        OSError: the folder cannot be written.
    """
    entries = {task: [each.release, each.manifest_sha256] for task, each in sorted(floors.items())}
    text = json.dumps({"floors": entries, "sha256": _digest(entries)}) + "\n"
    replace_file(path, text, mode=0o600)


def highest(one: Floors, other: Floors) -> dict[str, ReleaseFloor]:
    """Merge two mappings from task to release floor, and return the result.

    For a task in both mappings, the floor with the higher release is kept.
    """
    return {
        task: max(
            (floors[task] for floors in (one, other) if task in floors),
            key=lambda floor: floor.release,
        )
        for task in {*one, *other}
    }


def _digest(entries: object) -> str:
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
