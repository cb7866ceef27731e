"""A large fleet gets the open files that it needs, or is refused before anything runs."""

import subprocess
import sys

_PROGRAM = """\
import resource, sys
from nestling_sim.run.open_files import OpenFilesError, make_room
soft, hard, devices = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
try:
    make_room(devices)
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
except OpenFilesError as err:
    print(err)
"""


def limit_after(soft: int, hard: int, devices: int) -> str:
    arguments = [sys.executable, "-P", "-c", _PROGRAM, *map(str, (soft, hard, devices))]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()


def test_soft_limit_is_raised_as_far_as_a_fleet_needs_and_never_lowered() -> None:
    assert int(limit_after(512, 4096, 90)) > 90 * 33
    assert limit_after(2000, 4096, 9) == "2000"


def test_fleet_beyond_the_sessions_limit_is_refused_with_both_figures() -> None:
    said = limit_after(512, 1024, 100)

    assert "100 devices need up to 4200 open files and this session allows 1024" in said
