"""A watched folder and the program that writes into it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling_device.sources.cursor import Cursor
from nestling_device.sources.source import Windows
from nestling_device.sources.watched_folder import WatchedFolder
from tests.support.source_contract import LINE, PATIENCE_S, SHAPE, window


class FedFolder:
    shape = SHAPE

    def __init__(self, folder: Path, *, settle_s: float = 0.0, keep_answered: bool = True) -> None:
        self.folder = folder / "inputs"
        self.folder.mkdir(exist_ok=True)
        self.state = folder / "state"
        self.written = 0
        self.source = WatchedFolder(
            self.folder,
            SHAPE,
            cursor=Cursor(self.state),
            written=lambda: self.written,
            settle_s=settle_s,
            keep_answered=keep_answered,
        )

    def feed(self, number: int) -> Windows:
        self.save(f"{number:03d}.npy", window(number))
        return window(number)

    def save(self, name: str, array: NDArray[Any]) -> None:
        np.save(self.folder / name, array)

    def answer(self) -> float:
        """Take an input, write its receipt and settle it; return its first value."""
        taken = self.source.take(PATIENCE_S)
        assert taken is not None
        self.written += 1
        self.source.settle(LINE)
        return float(taken.window[0, 0])

    def names(self, kind: str = ".") -> set[str]:
        return {path.name for path in (self.folder / kind).glob("*.npy")}
