"""Recorded inputs as a source."""

import numpy as np
import pytest

from nestling_device.sources.replay import Replay
from nestling_device.sources.source import Source, Windows
from tests.support.source_contract import SHAPE, Fed, SourceContract, window


class FedReplay:
    shape = SHAPE

    def __init__(self) -> None:
        self.source: Source = Replay(np.stack([window(number) for number in range(1, 5)]))

    def feed(self, number: int) -> Windows:
        return window(number)


class TestReplay(SourceContract):
    @pytest.fixture
    def fed(self) -> Fed:
        return FedReplay()
