"""Raises the limit on open files, because a fleet opens many sockets and databases."""

import resource

from nestling_sim.errors import SimError

# Databases, connections and the two links of one running device; 33 were counted.
_FILES_PER_DEVICE = 40
_OTHER_FILES = 200


class OpenFilesError(SimError):
    """Raised when a fleet needs more open files than this session allows."""


def raise_open_files_limit(devices: int) -> None:
    """Raise this process's limit on open files to the number that a fleet needs.

    The limit is not changed if it is high enough.

    Args:
        devices: the number of devices that will run in this process.

    Raises:
        OpenFilesError: the session's hard limit is lower than the number that the fleet needs.
    """
    needed = _OTHER_FILES + devices * _FILES_PER_DEVICE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise OpenFilesError(
            f"{devices} devices need up to {needed} open files and this session allows {hard}; "
            f"raise the limit (ulimit -Hn {needed}, as root) or use fewer devices"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
