"""Room for the sockets and databases of a whole fleet in one process."""

import resource

from nestling_sim.errors import SimError

# A running device's databases, connections and the two links that it goes through: 33 were counted.
_A_DEVICE = 40
_THE_REST = 200


class OpenFilesError(SimError):
    """A fleet that needs more open files than this session may have."""


def make_room(devices: int) -> None:
    """Raise this process's limit of open files as far as a fleet needs it.

    Args:
        devices: that will run here.

    Raises:
        OpenFilesError: the session's own limit is lower.
    """
    needed = _THE_REST + devices * _A_DEVICE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise OpenFilesError(
            f"{devices} devices need up to {needed} open files and this session allows {hard}; "
            f"raise it (ulimit -Hn {needed}, as root) or take fewer devices"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
