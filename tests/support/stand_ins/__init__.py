"""Python stand-ins for programs that the documentation uses, with the options used there."""

import sys
from pathlib import Path


def stand_in(name: str, folder: Path) -> Path:
    """Create a folder for the PATH that contains a stand-in, and return it.

    Args:
        name: name of the program, which is a module of this package.
        folder: folder to create it in.
    """
    program = Path(__file__).with_name(f"{name}.py")
    made = folder / "stand-ins" / name
    made.parent.mkdir(exist_ok=True)
    made.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P "{program}" "$@"\n')
    made.chmod(0o755)
    return made.parent
