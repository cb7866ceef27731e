"""Defines the errors of a repository, and turns errors of the file system into them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestling_cloud.errors import CloudError


class RepositoryError(CloudError):
    """Raised when a release is refused, or a file of the repository cannot be used.

    A file cannot be used if it is missing, damaged or unreadable. The error is also raised for an
    invalid name or version.
    """


class BlobNotFoundError(RepositoryError):
    """Raised when the repository lacks the requested blob, cloud model or checkpoint."""


class OffsetError(RepositoryError):
    """Raised when the offset of a read is negative or beyond the end of the blob."""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn an OSError raised in the `with` block into a RepositoryError.

    A FileNotFoundError passes through unchanged.

    Args:
        path: the path of the file that the block reads.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as err:
        raise RepositoryError(
            f"{path} cannot be read: {err.strerror}; give the cloud's user read access to the "
            "repository, or release the bundle again"
        ) from err
