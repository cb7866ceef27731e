"""Skipped tests: reported with what they need, and a failure where everything is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import skipping
from tests.support.needs import ALL, CHROMIUM, MOSQUITTO, SKIP_NOTHING, Need

ROOT = Path(__file__).resolve().parents[2]
SKIPPING_TEST = """
import pytest

from tests.support.skipping import pytest_runtest_makereport, pytest_terminal_summary

@pytest.mark.skip(reason="needs the moon: apt install moon")
def test_on_the_moon(): ...

@pytest.mark.xfail
def test_that_is_known_to_fail(): assert False
"""


def run_pytest(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a skipped test in a separate pytest process."""
    file = folder / "conftest.py"
    file.write_text(SKIPPING_TEST)
    (folder / "test_moon.py").write_text("from conftest import *\n")
    inherited = {name: value for name, value in os.environ.items() if name != SKIP_NOTHING}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        cwd=ROOT,
        env={**inherited, "PYTHONPATH": f"{ROOT}:{folder}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_skipped_test_passes_on_a_bare_machine(tmp_path: Path) -> None:
    done = run_pytest(tmp_path)

    assert done.returncode == 0
    assert "1 skipped, 1 xfailed" in done.stdout


def test_skipped_test_fails_where_everything_is_installed(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, **{SKIP_NOTHING: "1"})

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("1 xfailed, 1 error")
    assert "needs the moon" in done.stdout


def test_summary_counts_by_need_and_names_one_command() -> None:
    reasons = [CHROMIUM.reason, MOSQUITTO.reason, CHROMIUM.reason, "another reason"]

    first, command = skipping.summary(reasons)

    assert "3 tests" in first
    assert "Chromium (2), Mosquitto (1)" in first
    assert command == (
        "sudo apt-get install --no-install-recommends "
        "chromium chromium-driver mosquitto mosquitto-clients"
    )


def test_summary_is_silent_where_nothing_is_missing() -> None:
    assert list(skipping.summary(["another reason"])) == []


def test_missing_program_skips_with_the_packages_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = Need(name="Unobtainium", program="unobtainium", packages=("unobtainium-bin",))

    with pytest.raises(pytest.skip.Exception, match="Unobtainium: apt install unobtainium-bin"):
        skipping.required(missing)


def test_packages_of_every_need_are_printed_without_the_projects_environment() -> None:
    command = ["/usr/bin/env", "python3", "-I", str(ROOT / "tests" / "support" / "needs.py")]

    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert set(printed.split()) == {package for need in ALL for package in need.packages}
