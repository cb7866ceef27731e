"""Builds the wheel, and runs deploy/raspberry-pi/install.sh below a test folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "raspberry-pi"
SCRIPT = FOLDER / "install.sh"
# Time limit: pip downloads what its cache lacks.
DOWNLOAD_S = 200


def build_wheel(folder: Path) -> Path:
    """Build the wheel into a folder and return its path."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        check=True,
        timeout=DOWNLOAD_S,
    )
    (wheel,) = folder.glob("nestling-*.whl")
    return wheel


def install(
    *arguments: str,
    environment: dict[str, str] | None = None,
    umask: int = -1,
    folder: Path | None = None,
    script: Path = SCRIPT,
) -> subprocess.CompletedProcess[str]:
    """Run the installer to its end.

    Args:
        arguments: arguments of the script.
        environment: environment variables; None for those of the test.
        umask: umask of the shell; -1 for that of the test.
        folder: working folder.
        script: the installer.
    """
    done = subprocess.run(
        ["/bin/bash", str(script), *arguments],
        env=environment,
        umask=umask,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DOWNLOAD_S,
        check=False,
    )
    sys.stdout.write(done.stdout)  # shown if the test failed
    sys.stderr.write(done.stderr)
    return done


def copy_root(root: Path, target: Path) -> Path:
    """Copy an installed tree; the large, constant files in /opt are hard-linked."""

    def copy(source: str, place: str) -> str:
        if "/opt/" in source:
            os.link(source, place, follow_symlinks=False)
            return place
        return str(shutil.copy2(source, place))

    shutil.copytree(root, target, symlinks=True, copy_function=copy)
    return target
