"""A database that is open twice in one process, and is read by another process."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from nestling_device.storage.database import Database

READING = (
    "import sqlite3, sys; "
    "print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM things').fetchone())"
)


def test_opening_a_database_twice_does_not_lose_commits(tmp_path: Path) -> None:
    path, schema = tmp_path / "x.db", "CREATE TABLE things (number INTEGER)"
    first = Database(path, schema=schema, version=1)
    second = Database(path, schema=schema, version=1)
    counts = []
    for number in (1, 2):
        with first.transaction() as cursor:
            cursor.execute("INSERT INTO things VALUES (?)", (number,))
        command = [sys.executable, "-c", READING, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        counts.append(int(done.stdout))
    second.close()
    first.close()

    assert counts == [1, 2]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (2,)
    connection.close()
