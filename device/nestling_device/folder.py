"""A folder whose entries survive a power cut."""

import os
from pathlib import Path


def sync(folder: Path) -> None:
    """Put a folder's list of files on the disk; `fsync` of a file alone does not do it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
