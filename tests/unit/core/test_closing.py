import pytest

from nestling_core.closing import Closing


class Door(Closing):
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_block_closes_once_and_passes_errors_on() -> None:
    door = Door()

    with pytest.raises(KeyError), door as entered:
        assert entered is door
        raise KeyError

    assert door.closed == 1
