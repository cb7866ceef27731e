import pytest

from nestling_core.closing import Closing


class Door(Closing):
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_block_closes_once_and_passes_errors_on() -> None:
    door = Door()

    def fail_inside() -> None:
        with door as entered:
            assert entered is door
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()

    assert door.closed == 1
