import sys

import pytest

from nestling_device.hardware.i2c import BusError, open_bus, read_word, signed, write_word
from tests.support.simulated_bus import SimulatedBus


def test_missing_bus_raises_an_error_with_advice() -> None:
    with pytest.raises(BusError, match=r"/dev/i2c-250 cannot be opened.*raspi-config"):
        open_bus(250)


def test_missing_smbus2_raises_an_error_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "smbus2", None)

    with pytest.raises(BusError, match=r"nestling\[i2c\]"):
        open_bus(1)


def test_words_are_sent_most_significant_byte_first() -> None:
    bus = SimulatedBus(0x40, {})

    write_word(bus, 0x40, 5, 0x1234)

    assert bus.written == [(5, b"\x12\x34")]
    assert read_word(bus, 0x40, 5) == 0x1234


def test_signed_converts_from_twos_complement() -> None:
    assert [signed(word) for word in (0, 1, 0x7FFF, 0x8000, 0xFFFF)] == [0, 1, 32767, -32768, -1]
