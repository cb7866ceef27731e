"""A PostgreSQL server of our own, in a folder of its own, on a Unix socket and nowhere else."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from tests.processes import until

# Debian keeps the server's programs off the PATH.
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
# The server refuses to run as root.
_USER = "postgres"
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
        return f"postgresql+psycopg://{_USER}@/{name}?host={self.folder}"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Connect to the server's own database."""
        return psycopg.connect(
            host=str(self.folder), user=_USER, dbname="postgres", autocommit=True
        )


def programs() -> Mapping[str, str] | None:
    """Where initdb and postgres are; None if they are not installed."""
    path = os.pathsep.join([*map(str, _FOLDERS), os.environ.get("PATH", "")])
    found = {name: shutil.which(name, path=path) for name in ("initdb", "postgres")}
    return (
        {name: program for name, program in found.items() if program}
        if all(found.values())
        else None
    )


@contextlib.contextmanager
def running(program: Mapping[str, str]) -> Iterator[Postgres]:
    """Start a server; it ends with the context."""
    user = _USER if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="nestling-pg-") as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user, user)
        data = folder / "data"
        initdb = [program["initdb"], "-D", str(data), "-U", _USER, "-A", "trust", "--no-sync"]
        subprocess.run(initdb, cwd=folder, user=user, check=True, capture_output=True)
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        # A server whose tests were killed ends as well.
        leash = ["setpriv", "--pdeathsig", "QUIT"]
        if user is not None:
            leash += ["--reuid", user, "--regid", user, "--clear-groups"]
        command = [*leash, program["postgres"], "-D", str(data), "-k", str(folder), *settings]
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


def _answers(server: Postgres, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        server.connect().close()
    except psycopg.OperationalError:
        return False
    return True
