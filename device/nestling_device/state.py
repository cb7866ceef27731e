"""What a device must not forget: its bundle, the releases it accepted, its birth counter."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from nestling.v1 import bundle_pb2
from nestling_device.database import Database

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
class HeldBundle:
    """A bundle that passed its self-test on this device, up to `capacity`."""

    manifest: bundle_pb2.Blob
    version: str
    task: str
    release: int
    capacity: int


@dataclass(frozen=True, kw_only=True)
class ReleaseFloor:
    """The newest release of a task that the device ever accepted."""

    release: int
    manifest_sha256: str


class State:
    """A device's durable facts, in one SQLite file: a kill leaves the old ones or the new ones."""

    def __init__(self, folder: Path) -> None:
        """Open `folder`/state.db.

        Raises:
            StorageError: the folder cannot be used; the message says what to do.
        """
        self._database = Database(folder / "state.db", schema=_SCHEMA, version=1)

    def active(self) -> HeldBundle | None:
        """Name the bundle to run, None before the first switch."""
        return self._bundle("active")

    def previous(self) -> HeldBundle | None:
        """Name the bundle before the active one."""
        return self._bundle("previous")

    def floor(self, task: str) -> ReleaseFloor | None:
        """Newest release of `task` ever accepted: nothing below it may be installed."""
        with self._database.transaction() as cursor:
            row = cursor.execute(
                "SELECT release, sha256 FROM floors WHERE task = ?", (task,)
            ).fetchone()
        return None if row is None else ReleaseFloor(release=row[0], manifest_sha256=row[1])

    def switch(self, bundle: HeldBundle) -> None:
        """Make `bundle` the active one and its release the floor of its task, at once."""
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
            cursor.execute(
                "INSERT INTO floors VALUES (?, ?, ?) ON CONFLICT (task) DO UPDATE "
                "SET release = excluded.release, sha256 = excluded.sha256 "
                "WHERE excluded.release > release",
                (bundle.task, bundle.release, bundle.manifest.sha256),
            )

    def next_bd_seq(self) -> int:
        """Count a connection to the broker: Sparkplug's bdSeq, 0 to 255 and round again."""
        with self._database.transaction() as cursor:
            row = cursor.execute(
                "INSERT INTO births VALUES (1, 0) ON CONFLICT (id) DO UPDATE "
                "SET bd_seq = (bd_seq + 1) % 256 RETURNING bd_seq"
            ).fetchone()
        return int(row[0])

    def _bundle(self, slot: str) -> HeldBundle | None:
        with self._database.transaction() as cursor:
            row = cursor.execute(
                f"SELECT {_COLUMNS} FROM bundles WHERE slot = ?",  # noqa: S608 - constants
                (slot,),
            ).fetchone()
        if row is None:
            return None
        sha256, size, version, task, release, capacity = row
        return HeldBundle(
            manifest=bundle_pb2.Blob(sha256=sha256, size=size),
            version=version,
            task=task,
            release=release,
            capacity=capacity,
        )

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
