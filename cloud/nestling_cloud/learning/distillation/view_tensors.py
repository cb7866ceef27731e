"""Keeps tensors of several augmented copies in memory, or on disk if they are large.

The file on disk has no name, so the system removes it however the process ends.
"""

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nestling_cloud.errors import CloudError
from nestling_cloud.tasks.row_file import RowFile
from nestling_cloud.tasks.stored_inputs import as_read

MOST_IN_MEMORY = 512_000_000
"""The most bytes of augmented copies that are kept in memory."""

_SYSTEM_FOLDER = Path("/var/tmp")  # noqa: S108  # on disk, where /tmp is often in memory
# Types of torch that numpy lacks, as types of the same size.
_STAND_INS = {torch.bfloat16: torch.int16}


class ViewsError(CloudError):
    """Raised when the disk has no room for the augmented copies of the training data."""


class ViewTensors:
    """Rows of V copies, of which some are read at a time.

    Attributes:
        shape: the number of copies, the number of rows in each, and the shape of a row.
    """

    def __init__(
        self, views: int, row_shape: Sequence[int], count: int, stored: torch.dtype
    ) -> None:
        """Make room in memory if all fits in `MOST_IN_MEMORY`, or else on disk.

        Args:
            views: the number of copies, V.
            row_shape: the shape of a row.
            count: the number of rows in each copy, N.
            stored: the type to keep them in. Values of uint8 stand for 0 to 1 in steps of 1/255.

        Raises:
            ViewsError: the disk has no room.
        """
        self.shape = torch.Size((views, count, *row_shape))
        self._stored = stored
        self._memory: torch.Tensor | None = None
        self._file: RowFile | None = None
        if fits_in_memory(self.shape):
            kept = torch.float32 if stored == torch.uint8 else stored
            self._memory = torch.empty(self.shape, dtype=kept)
        else:
            self._file = _file_for(self.shape, stored)

    def __len__(self) -> int:
        """Return the number of copies."""
        return self.shape[0]

    def __getitem__(self, view: int) -> "ViewRows":
        """Return one copy, whose rows are read when it is indexed."""
        if not 0 <= view < len(self):
            raise IndexError(view)
        return ViewRows(self, view)

    def __iter__(self) -> "Iterator[ViewRows]":
        """Yield every copy in order."""
        return (ViewRows(self, view) for view in range(len(self)))

    def put(self, view: int, start: int, rows: torch.Tensor) -> None:
        """Set rows of a copy.

        Args:
            view: the index of the copy.
            start: the index of the first row in the copy.
            rows: the rows, (n, *row_shape).

        Raises:
            ViewsError: the disk is full.
        """
        if self._memory is not None:
            self._memory[view, start : start + len(rows)] = rows
            return
        assert self._file is not None
        try:
            self._file.write(view * self.shape[1] + start, _encoded(rows, self._stored))
        except OSError as err:
            raise _no_room(err, self.shape, self._stored) from err

    def rows(self, view: int, rows: slice | torch.Tensor) -> torch.Tensor:
        """Return rows of a copy, by a slice or by indices."""
        if self._memory is not None:
            return self._memory[view][rows]
        assert self._file is not None
        chosen = range(self.shape[1])[rows] if isinstance(rows, slice) else rows.numpy()
        indices = np.asarray(chosen, np.int64) + view * self.shape[1]
        raw = self._file.read(indices)
        if self._stored in _STAND_INS:
            return torch.from_numpy(raw).view(self._stored)
        return torch.from_numpy(as_read(raw))


class ViewRows:
    """One of several copies, whose rows are read when it is indexed."""

    def __init__(self, views: ViewTensors, view: int) -> None:
        """Choose a copy by its index."""
        self._views, self._view = views, view

    @property
    def shape(self) -> torch.Size:
        """The number of rows, and the shape of a row."""
        return self._views.shape[1:]

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __getitem__(self, rows: slice | torch.Tensor, /) -> torch.Tensor:
        """Return the rows of a slice, or those with the given indices."""
        return self._views.rows(self._view, rows)


def fits_in_memory(shape: Sequence[int]) -> bool:
    """Return whether float32 values of a shape take at most `MOST_IN_MEMORY`."""
    return 4 * math.prod(shape) <= MOST_IN_MEMORY


def check_room(shape: Sequence[int], stored: torch.dtype) -> None:
    """Raise ViewsError if the disk has no room for copies that do not fit in memory.

    Args:
        shape: the number of copies, the number of rows in each, and the shape of a row.
        stored: the type to keep them in.
    """
    needed = stored.itemsize * math.prod(shape)
    if not fits_in_memory(shape) and shutil.disk_usage(_folder()).free < needed:
        raise _no_room(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), shape, stored)


def _folder() -> Path:
    named = os.environ.get("TMPDIR")
    if not named and os.access(_SYSTEM_FOLDER, os.W_OK):
        return _SYSTEM_FOLDER
    return Path(tempfile.gettempdir())


def _file_for(shape: torch.Size, stored: torch.dtype) -> RowFile:
    like = torch.empty(0, dtype=_STAND_INS.get(stored, stored)).numpy()
    try:
        with tempfile.TemporaryFile(dir=_folder()) as file:
            os.posix_fallocate(file.fileno(), 0, stored.itemsize * math.prod(shape))
            descriptor = os.dup(file.fileno())
    except OSError as err:
        raise _no_room(err, shape, stored) from err
    return RowFile(
        descriptor, name="the augmented copies", dtype=like.dtype, row_shape=tuple(shape[2:])
    )


def _no_room(err: OSError, shape: Sequence[int], stored: torch.dtype) -> ViewsError:
    needed = stored.itemsize * math.prod(shape)
    full = err.errno in {errno.ENOSPC, errno.EDQUOT}
    reason = "is too full" if full else f"cannot be written ({err.strerror})"
    return ViewsError(
        f"{shape[0]} augmented copies of the training data need {needed / 1e9:.1f} GB on disk, but "
        f"{_folder()} {reason}; free some space, name another folder in TMPDIR, or choose fewer "
        "copies with Distillation(views=...)"
    )


def _encoded(rows: torch.Tensor, stored: torch.dtype) -> NDArray[Any]:
    if stored == torch.uint8:
        return (rows.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return rows.to(stored).view(_STAND_INS.get(stored, stored)).numpy()
