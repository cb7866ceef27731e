"""The limit of open files is raised for a large fleet, or the fleet is refused at the start."""

import subprocess
import sys

_PROGRAM = """\
import resource, sys
from nestling_sim.run.open_files import OpenFilesError, raise_open_files_limit
soft, hard, devices = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
try:
    raise_open_files_limit(devices)
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
except OpenFilesError as err:
    print(err)
"""


def limit_after(soft: int, hard: int, devices: int) -> str:
    arguments = [sys.executable, "-P", "-c", _PROGRAM, *map(str, (soft, hard, devices))]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()


def test_soft_limit_is_raised_as_needed_and_never_lowered() -> None:
    assert int(limit_after(512, 4096, 90)) > 90 * 33
    assert limit_after(2000, 4096, 9) == "2000"


def test_fleet_beyond_the_sessions_limit_is_refused_with_both_figures() -> None:
    error = limit_after(512, 1024, 100)

    assert "100 devices need up to 4200 open files and this session allows 1024" in error
