"""Programs that documents use, each with the few options that they use, in Python."""

import sys
from pathlib import Path


def stand_in(name: str, folder: Path) -> Path:
    """Make a folder for the PATH in which NAME is ours.

    Args:
        name: of a module of this package.
        folder: where to make it.
    """
    program = Path(__file__).with_name(f"{name}.py")
    made = folder / "stand-ins" / name
    made.parent.mkdir(exist_ok=True)
    made.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P "{program}" "$@"\n')
    made.chmod(0o755)
    return made.parent
