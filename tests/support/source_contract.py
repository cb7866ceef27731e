"""What every source of inputs has to do, whatever its kind."""

from pathlib import Path
from typing import Protocol

import numpy as np

from nestling_device.sources.source import Origin, Source, Windows

SHAPE = (2, 3)
PATIENCE_S = 20.0
LINE = '{"answer": "a"}'


def window(number: int) -> Windows:
    return np.full(SHAPE, number, np.float32)


def save_and_append(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(SHAPE))
        np.save(file, np.zeros(SHAPE))


class Fed(Protocol):
    """A source and its producer."""

    source: Source

    @property
    def shape(self) -> tuple[int, ...]: ...

    def feed(self, number: int) -> Windows:
        """Produce an input of that number, and return the window that the source should yield."""
        ...


class SourceContract:
    def test_inputs_are_yielded_in_order_and_unchanged(self, fed: Fed) -> None:
        for number in range(1, 5):
            wanted = fed.feed(number)
            taken = fed.source.take(PATIENCE_S)
            assert taken is not None
            assert taken.window.dtype == np.float32
            assert taken.window.shape == fed.shape
            np.testing.assert_allclose(taken.window, wanted, rtol=1e-5)
            fed.source.settle(LINE)

    def test_live_source_without_an_input_returns_none_in_time(self, fed: Fed) -> None:
        if fed.source.live:
            assert fed.source.take(0.01) is None
        else:
            assert fed.source.take(0.01) is not None

    def test_input_without_an_answer_is_refused_and_the_next_one_is_yielded(self, fed: Fed) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.source.refuse("too large")

        wanted = fed.feed(2)
        taken = fed.source.take(PATIENCE_S)
        assert taken is not None
        np.testing.assert_allclose(taken.window, wanted, rtol=1e-5)
        fed.source.settle(LINE)

    def test_revision_of_an_earlier_answer_does_not_disturb_the_source(self, fed: Fed) -> None:
        fed.feed(1)
        taken = fed.source.take(PATIENCE_S)
        assert taken is not None
        fed.source.settle(LINE)
        fed.source.revise(LINE, taken.origin)
        wanted = fed.feed(2)

        fed.source.revise(LINE, Origin(id="of an earlier run", file="gone.npy", window=7))

        again = fed.source.take(PATIENCE_S)
        assert again is not None
        np.testing.assert_allclose(again.window, wanted, rtol=1e-5)
        fed.source.settle(LINE)

    def test_closing_twice_is_no_error(self, fed: Fed) -> None:
        fed.source.close()
        fed.source.close()
