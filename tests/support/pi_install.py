"""The wheel of this tree, and deploy/raspberry-pi/install.sh run below a folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "raspberry-pi"
SCRIPT = FOLDER / "install.sh"
# pip fetches what it has not got in its cache.
DOWNLOAD_S = 200


def build_wheel(folder: Path) -> Path:
    """Build the wheel into a folder."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        check=True,
        timeout=DOWNLOAD_S,
    )
    (made,) = folder.glob("nestling-*.whl")
    return made


def install(
    *arguments: str,
    environment: dict[str, str] | None = None,
    umask: int = -1,
    folder: Path | None = None,
    script: Path = SCRIPT,
) -> subprocess.CompletedProcess[str]:
    """Run the installer to its end, as somebody would whose shell has these settings."""
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
    """Copy what the installer made; environments are large and never changed in place."""

    def copy(source: str, place: str) -> str:
        if "/opt/" in source:
            os.link(source, place, follow_symlinks=False)
            return place
        return str(shutil.copy2(source, place))

    shutil.copytree(root, target, symlinks=True, copy_function=copy)
    return target
