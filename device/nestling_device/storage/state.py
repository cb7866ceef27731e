"""Stores the device's durable state.

The state is the active and the previous bundle, the newest accepted release of each task, and the
number of the last broker connection (Sparkplug's bdSeq).
"""

import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from nestling.v1 import bundle_pb2
from nestling_core.closing import Closing
from nestling_core.nest.bundle_files import is_digest
from nestling_device.storage.database import Database, LockTimeout
from nestling_device.storage.floor_copy import (
    Floors,
    ReleaseFloor,
    highest,
    read_floors,
    write_floors,
)

__all__ = ["BundleRecord", "ReleaseFloor", "State"]

_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE bundles (
    slot TEXT PRIMARY KEY CHECK (slot IN ('active', 'previous')),
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    version TEXT NOT NULL,
    task TEXT NOT NULL,
    release INTEGER NOT NULL,
    capacity INTEGER NOT NULL
);
CREATE TABLE floors (task TEXT PRIMARY KEY, release INTEGER NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE births (id INTEGER PRIMARY KEY CHECK (id = 1), bd_seq INTEGER NOT NULL)
"""
_COLUMNS = "sha256, size, version, task, release, capacity"


@dataclass(frozen=True, kw_only=True)
class BundleRecord:
    """A bundle that passed its self-test on this device.

    Attributes:
        manifest: the size and digest of the manifest.
        version: the name of the bundle.
        task: the task of the bundle.
        release: the number of the release.
        capacity: the largest capacity that was installed. The smaller ones were installed too.
    """

    manifest: bundle_pb2.Blob
    version: str
    task: str
    release: int
    capacity: int


class State(Closing):
    """A device's durable state in one SQLite file.

    Changes to this file are atomic. The release floors (the newest accepted release of each task)
    are also in a second file. If the two files differ, the higher floor applies. If state.db is
    lost, the device no longer has a bundle, but it still refuses older releases.

    Every method but `close` raises StorageError if the file is damaged or stays locked, or if the
    disk is full.
    """

    def __init__(self, folder: Path, *, lock_timeout: LockTimeout | None = None) -> None:
        """Open `folder`/state.db.

        Args:
            folder: the device's state folder.
            lock_timeout: the longest time to wait while another program has locked the file
                (default: `LockTimeout()`).

        Raises:
            StorageError: the folder cannot be used, or the file is damaged; the message says what
                to do.
        """
        self._floors_path = folder / "floors.json"
        self._database = Database(
            folder / "state.db", schema=_SCHEMA, version=1, lock_timeout=lock_timeout
        )
        try:
            self._database.check()
            self._settle_floors()
        except BaseException:
            self._database.close()
            raise

    def _settle_floors(self) -> None:
        """Set each task's floor in both files to the higher one of the two.

        If the floor in state.db was missing or lower, this is logged.
        """
        copied = read_floors(self._floors_path)
        with self._database.transaction() as cursor:
            held = self._read_floors(cursor)
            floors = highest(held, copied)
            lost = sorted(task for task in copied if floors[task] != held.get(task))
            if lost:
                _log.warning(
                    "state.db no longer records which releases of %s this device accepted: it was "
                    "damaged, emptied or restored from a copy; releases older than %s stay refused "
                    "because of %s",
                    ", ".join(lost),
                    ", ".join(str(floors[task].release) for task in lost),
                    self._floors_path,
                )
            for task, floor in floors.items():
                _raise_floor(cursor, task, floor)
        if floors != copied:
            self._copy_floors(floors)

    def _copy_floors(self, floors: Floors) -> None:
        try:
            write_floors(self._floors_path, floors)
        except OSError as err:  # state.db has the floors; the next start copies them
            _log.warning("%s cannot be written: %s", self._floors_path, err)

    def _read_floors(self, cursor: sqlite3.Cursor) -> dict[str, ReleaseFloor]:
        return {
            task: self._floor(release, sha256)
            for task, release, sha256 in cursor.execute("SELECT task, release, sha256 FROM floors")
        }

    def _floor(self, release: object, sha256: object) -> ReleaseFloor:
        if not isinstance(release, int) or not isinstance(sha256, str):
            raise self._database.damage_error("a release floor is invalid")
        return ReleaseFloor(release=release, manifest_sha256=sha256)

    def active(self) -> BundleRecord | None:
        """Return the bundle to run, or None before the first switch."""
        return self._bundle("active")

    def previous(self) -> BundleRecord | None:
        """Return the bundle that was active before, or None if there was none."""
        return self._bundle("previous")

    def floor(self, task: str) -> ReleaseFloor | None:
        """Return the newest release that the device has ever accepted for a task.

        Older releases must not be installed. The result is None if no release of the task has been
        accepted yet.
        """
        with self._database.transaction() as cursor:
            row = cursor.execute(
                "SELECT release, sha256 FROM floors WHERE task = ?", (task,)
            ).fetchone()
        return None if row is None else self._floor(*row)

    def switch(self, bundle: BundleRecord) -> None:
        """Make a bundle active and record its release as accepted, in one transaction.

        The bundle that was active before becomes the previous one, unless it has the same manifest.
        Afterwards, the release floors are also written to the second file.
        """
        with self._database.transaction() as cursor:
            cursor.execute(
                f"INSERT OR REPLACE INTO bundles SELECT 'previous', {_COLUMNS} FROM bundles "  # noqa: S608 - constants
                "WHERE slot = 'active' AND sha256 != ?",
                (bundle.manifest.sha256,),
            )
            cursor.execute(
                "INSERT OR REPLACE INTO bundles VALUES ('active', ?, ?, ?, ?, ?, ?)",
                (
                    bundle.manifest.sha256,
                    bundle.manifest.size,
                    bundle.version,
                    bundle.task,
                    bundle.release,
                    bundle.capacity,
                ),
            )
            _raise_floor(
                cursor,
                bundle.task,
                ReleaseFloor(release=bundle.release, manifest_sha256=bundle.manifest.sha256),
            )
            floors = self._read_floors(cursor)
        self._copy_floors(floors)

    def next_bd_seq(self) -> int:
        """Return a new number for the next broker connection (Sparkplug's bdSeq).

        The numbers run from 0 to 255 and then start again at 0.
        """
        with self._database.transaction() as cursor:
            row = cursor.execute(
                "INSERT INTO births VALUES (1, 0) ON CONFLICT (id) DO UPDATE "
                "SET bd_seq = (bd_seq + 1) % 256 RETURNING bd_seq"
            ).fetchone()
        return int(row[0])

    def _bundle(self, slot: str) -> BundleRecord | None:
        with self._database.transaction() as cursor:
            row = cursor.execute(
                f"SELECT {_COLUMNS} FROM bundles WHERE slot = ?",  # noqa: S608 - constants
                (slot,),
            ).fetchone()
        if row is None:
            return None
        sha256, size, version, task, release, capacity = row
        texts, numbers = (sha256, version, task), (size, release, capacity)
        sound = all(isinstance(text, str) for text in texts) and is_digest(sha256)
        if not sound or not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise self._database.damage_error(f"the row of the {slot} bundle is invalid")
        return BundleRecord(
            manifest=bundle_pb2.Blob(sha256=sha256, size=size),
            version=version,
            task=task,
            release=release,
            capacity=capacity,
        )

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _raise_floor(cursor: sqlite3.Cursor, task: str, floor: ReleaseFloor) -> None:
    cursor.execute(
        "INSERT INTO floors VALUES (?, ?, ?) ON CONFLICT (task) DO UPDATE "
        "SET release = excluded.release, sha256 = excluded.sha256 "
        "WHERE excluded.release > release",
        (task, floor.release, floor.manifest_sha256),
    )
