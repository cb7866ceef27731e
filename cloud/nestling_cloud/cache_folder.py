"""Finds the folder in which trained bundles and decoded data are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the path of the cache folder.

    This is `$NESTLING_CACHE` if that is set, otherwise `nestling` in the user's cache folder.
    """
    named = os.environ.get("NESTLING_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nestling"
