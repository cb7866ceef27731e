"""Creates the development environment, when run as `environment.py FOLDER PIP_ARGUMENT...`.

The script creates a virtual environment in FOLDER and runs `pip install` in it. pip's long output
goes to FOLDER/install.log, and the script prints only a line of progress every few seconds. It runs
on the system's Python and imports only the standard library.
"""

import os
import re
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

OLDEST_PYTHON = (3, 11)
PROGRESS_INTERVAL_S = 5.0
_LINES_OF_ERROR = 15
# Variables that would install the packages elsewhere. The caller's others, such as index,
# certificates and proxy, are kept.
_REDIRECTIONS = (
    *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"),
)
_OVERRIDES = {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
_INSTALLING = "Installing collected packages:"
_FETCHED = re.compile(r"\s*(?:Downloading|Using cached|Processing)\s+(\S+)(?:\s+\((\S+ \S+)\))?")


class InstallError(Exception):
    """Raised when the environment cannot be created; the text says what to do about it."""


@dataclass(frozen=True)  # not kw_only, so that an older Python gets as far as `check_python`
class Progress:
    """The progress of an installation, read from pip's output.

    Attributes:
        collected: the number of packages that pip has looked up.
        file: the name and version of the file that pip fetched last, with its size if known; ""
            before the first file.
        to_install: the number of packages that pip is installing; 0 while it still collects them.
    """

    collected: int = 0
    file: str = ""
    to_install: int = 0

    def after(self, line: str) -> "Progress":
        """Return the progress after one more line of pip's output."""
        if line.startswith("Collecting "):
            return Progress(collected=self.collected + 1, file=self.file)
        if line.startswith(_INSTALLING):
            count = line.removeprefix(_INSTALLING).count(",") + 1
            return Progress(collected=self.collected, file=self.file, to_install=count)
        fetched = _FETCHED.match(line)
        if fetched is None:
            return self
        name = " ".join(fetched[1].rsplit("/", 1)[-1].split("-")[:2])  # NAME-VERSION-TAGS.whl
        file = f"{name} ({fetched[2]})" if fetched[2] else name
        return Progress(collected=self.collected, file=file)

    def text(self, installed: int) -> str:
        """Return the progress as one line of text.

        Args:
            installed: the number of packages that are installed so far.
        """
        if self.to_install:
            return f"installing packages, {min(installed, self.to_install)} of {self.to_install}"
        if self.file:
            return f"fetching packages, {self.collected} so far, now {self.file}"
        return "querying the package index"


def main(arguments: list[str]) -> int:
    """Create the environment and return the exit code.

    Args:
        arguments: the folder, then the arguments of `pip install`.
    """
    folder, *pip_arguments = arguments
    try:
        _make(Path(folder), pip_arguments)
    except InstallError as err:
        print(f"setup: {err}", file=sys.stderr)
        return 1
    return 0


def _make(folder: Path, pip_arguments: list[str]) -> None:
    check_python(sys.version_info[:2])
    started = time.monotonic()
    _log(f"making {folder} with Python {sys.version.split()[0]}; pip's log is {folder}/install.log")
    try:
        venv.create(folder, with_pip=True, clear=False, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as err:
        raise InstallError(
            f"cannot make a virtual environment in {folder} ({err}): on Debian, apt install "
            "python3-venv"
        ) from err
    log = folder / "install.log"
    status = _install(folder, pip_arguments, log, started)
    if status:
        raise InstallError(
            f"pip ended with status {status}:\n{last_lines(log.read_text(encoding='utf-8'))}"
        )
    if not (folder / "bin" / "nestling-sim").exists():
        raise InstallError(
            f"pip installed the packages elsewhere: see {log}, and remove target, prefix and root "
            "from pip's configuration (pip config list)"
        )
    _log(f"{folder} is ready after {time.monotonic() - started:.0f} s")


def check_python(version: tuple[int, int]) -> None:
    """Check that a version of Python is new enough.

    Args:
        version: the version, as the pair (major, minor).

    Raises:
        InstallError: the version is too old.
    """
    if version < OLDEST_PYTHON:
        needed, found = (".".join(map(str, each)) for each in (OLDEST_PYTHON, version))
        raise InstallError(
            f"this is Python {found}, and {needed} or newer is needed: "
            f"make setup PYTHON=python{needed}"
        )


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for pip, derived from the caller's.

    Variables are left out if they would make pip install into another folder, or not install at
    all. A few are set, for example to keep pip from asking questions.
    """
    kept = {name: value for name, value in inherited.items() if name not in _REDIRECTIONS}
    return {**kept, **_OVERRIDES}


def _install(folder: Path, pip_arguments: list[str], log: Path, started: float) -> int:
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--progress-bar", "off"]
    with (
        log.open("w", encoding="utf-8") as written,
        subprocess.Popen(
            [*command, *pip_arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment(os.environ),
        ) as pip,
    ):
        assert pip.stdout is not None
        progress = [Progress()]
        reader = threading.Thread(
            target=_follow, args=(pip.stdout, written, progress), name="pip-output"
        )
        reader.start()
        while reader.is_alive():
            reader.join(PROGRESS_INTERVAL_S)
            if reader.is_alive():
                seconds = time.monotonic() - started
                _log(f"{seconds:4.0f} s  {progress[0].text(_packages_in(folder))}")
        return pip.wait()


def _follow(lines: Iterable[str], log: IO[str], progress: list[Progress]) -> None:
    for line in lines:
        log.write(line)
        log.flush()
        progress[0] = progress[0].after(line)


def _packages_in(folder: Path) -> int:
    return sum(1 for _ in folder.glob("lib/python3*/site-packages/*.dist-info"))


def last_lines(log: str) -> str:
    """Return the last 15 lines of pip's output, without empty lines and warnings."""
    lines = [line for line in log.splitlines() if line and not line.startswith("WARNING:")]
    return "\n".join(lines[-_LINES_OF_ERROR:])


def _log(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
