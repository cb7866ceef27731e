"""One suite for every power instrument; each one replays a synthetic log."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nestling.v1.receipt_pb2 import PROVENANCE_CALIBRATED, PROVENANCE_MEASURED
from nestling_device.energy.instruments.ina import Ina219, Ina260
from nestling_device.energy.instruments.instrument import Instrument, InstrumentError
from nestling_device.energy.instruments.pmic import Pmic, rail_watts
from nestling_device.energy.instruments.rapl import Rapl
from tests.support.simulated_bus import SimulatedBus

LOGS = Path(__file__).parents[1] / "data" / "power"


class Replayed(NamedTuple):
    """An instrument that replays a log, and controls for it."""

    instrument: Instrument
    advance: Callable[[], float]  # moves to the next row and returns its power
    unplug: Callable[[], object]
    plug_in: Callable[[], object]
    provenance: int


def rows(name: str) -> list[dict[str, str]]:
    with (LOGS / name).open() as file:
        return list(csv.DictReader(file))


def word(text: str) -> bytes:
    return int(text, 0).to_bytes(2, "big")


class InstrumentContract:
    def test_readings_match_the_log(self, replayed: Replayed) -> None:
        for _ in range(2):
            wanted = replayed.advance()
            assert replayed.instrument.watts() == pytest.approx(wanted, rel=0.005)

    def test_failed_reading_is_an_instrument_error_and_the_next_one_succeeds(
        self, replayed: Replayed
    ) -> None:
        replayed.unplug()
        with pytest.raises(InstrumentError):
            replayed.instrument.watts()
        replayed.plug_in()
        wanted = replayed.advance()

        assert replayed.instrument.watts() == pytest.approx(wanted, rel=0.005)

    def test_period_and_provenance_are_reported(self, replayed: Replayed) -> None:
        assert 0 < replayed.instrument.period_s <= 0.1
        assert replayed.instrument.provenance == replayed.provenance

    def test_closing_twice_is_no_error(self, replayed: Replayed) -> None:
        replayed.instrument.close()
        replayed.instrument.close()


class TestPmic(InstrumentContract):
    @pytest.fixture
    def replayed(self) -> Replayed:
        idle, busy = (LOGS / "pmic-synthetic.txt").read_text().split("\n\n")
        texts = [idle]

        def read() -> str:
            if not texts[-1]:
                raise InstrumentError("vcgencmd is gone")
            return texts[-1]

        wanted = iter([(busy, 6.4342), (idle, 3.1810)])

        def advance() -> float:
            text, watts = next(wanted)
            texts.append(text)
            return watts

        return Replayed(
            instrument=Pmic(read),
            advance=advance,
            unplug=lambda: texts.append(""),
            plug_in=lambda: texts.append(idle),
            provenance=PROVENANCE_CALIBRATED,
        )


def test_output_of_older_firmware_is_read() -> None:
    assert rail_watts("VDD_CORE_V=0.8V\nVDD_CORE_A=2.0A\nEXT5V_V=5.1V\n") == pytest.approx(1.6)


@pytest.mark.parametrize("text", ["", 'error=1 error_msg="Command not registered"', "A_V=5V"])
def test_board_without_the_chip_is_rejected(text: str) -> None:
    with pytest.raises(InstrumentError, match="only a Raspberry Pi 5"):
        Pmic(lambda: text)


class TestIna219(InstrumentContract):
    @pytest.fixture
    def replayed(self) -> Replayed:
        bus = SimulatedBus(0x41, {0x00: b"\x39\x9f"})
        log = iter(rows("ina219-synthetic.csv"))

        def advance() -> float:
            row = next(log)
            bus.registers.update({0x01: word(row["shunt"]), 0x02: word(row["bus"])})
            return float(row["watts"])

        instrument = Ina219(bus, address=0x41, shunt_ohm=0.1)
        return Replayed(instrument, advance, *plugs(bus), provenance=PROVENANCE_MEASURED)


def test_ina219_is_set_to_average_and_reverse_power_is_negative() -> None:
    bus = SimulatedBus(0x40, {})
    instrument = Ina219(bus, address=0x40, shunt_ohm=0.1)
    row = rows("ina219-synthetic.csv")[-1]
    bus.registers.update({0x01: word(row["shunt"]), 0x02: word(row["bus"])})

    assert bus.written == [(0x00, b"\x3e\x67")]
    assert instrument.watts() == pytest.approx(float(row["watts"])) == pytest.approx(-0.51)


def test_ina219_out_of_range_raises_an_error() -> None:
    bus = SimulatedBus(0x40, {})
    instrument = Ina219(bus, address=0x40, shunt_ohm=0.1)
    bus.registers.update({0x01: b"\x7f\xff", 0x02: b"\x27\xdb"})

    with pytest.raises(InstrumentError, match="out of range"):
        instrument.watts()


def test_chip_that_does_not_keep_ina219_settings_is_rejected() -> None:
    bus = SimulatedBus(0x40, {})
    bus.live[0x00] = lambda: b"\x61\x27"

    with pytest.raises(InstrumentError, match="is not an INA219"):
        Ina219(bus, address=0x40, shunt_ohm=0.1)


class TestIna260(InstrumentContract):
    @pytest.fixture
    def replayed(self) -> Replayed:
        bus = SimulatedBus(0x40, {0x00: b"\x61\x27", 0xFE: b"\x54\x49", 0xFF: b"\x22\x70"})
        log = iter(rows("ina260-synthetic.csv"))

        def advance() -> float:
            row = next(log)
            bus.registers.update({0x01: word(row["current"]), 0x02: word(row["voltage"])})
            return float(row["watts"])

        return Replayed(
            Ina260(bus, address=0x40), advance, *plugs(bus), provenance=PROVENANCE_MEASURED
        )


def test_chip_of_another_maker_is_rejected_and_unchanged() -> None:
    bus = SimulatedBus(0x40, {0xFE: b"\x12\x34"})

    with pytest.raises(InstrumentError, match="its manufacturer id reads 0x1234"):
        Ina260(bus, address=0x40)
    assert bus.written == []


def test_other_chip_of_the_same_maker_is_rejected_and_unchanged() -> None:
    bus = SimulatedBus(0x40, {0xFE: b"\x54\x49", 0xFF: b"\x22\x60"})  # an INA226

    with pytest.raises(InstrumentError, match="its die id reads 0x2260"):
        Ina260(bus, address=0x40)
    assert bus.written == []


@pytest.mark.parametrize(
    "make",
    [
        lambda bus: Ina219(bus, address=0x44, shunt_ohm=0.1),
        lambda bus: Ina260(bus, address=0x44),
    ],
)
def test_missing_chip_is_reported_with_its_address(
    make: Callable[[SimulatedBus], Instrument],
) -> None:
    with pytest.raises(InstrumentError, match=r"0x44.*i2cdetect"):
        make(SimulatedBus(0x40, {}))


def plugs(bus: SimulatedBus) -> tuple[Callable[[], object], Callable[[], object]]:
    return (lambda: setattr(bus, "broken", True), lambda: setattr(bus, "broken", False))


class PowerCap:
    """A fake of the kernel's folder, with two packages, a core zone and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = 0.0
        self.log = iter(rows("rapl-synthetic.csv"))
        for name in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"):
            (folder / name).mkdir()
            whole = name.count(":") == 1
            (folder / name / "name").write_text("package-0\n" if whole else "core\n")
            (folder / name / "energy_uj").write_text("77\n")
            (folder / name / "max_energy_range_uj").write_text("262143328850\n")
        self.advance()

    def advance(self) -> float:
        row = next(self.log)
        self.now_s = float(row["seconds"])
        for number in (0, 1):
            path = self.folder / f"intel-rapl:{number}" / "energy_uj"
            path.write_text(row[f"package{number}_uj"] + "\n")
        return float(row["watts"])


class TestRapl(InstrumentContract):
    @pytest.fixture
    def powercap(self, tmp_path: Path) -> PowerCap:
        return PowerCap(tmp_path)

    @pytest.fixture
    def replayed(self, powercap: PowerCap) -> Replayed:
        counter = powercap.folder / "intel-rapl:0" / "energy_uj"
        kept: list[Any] = []

        def unplug() -> None:
            kept.append(counter.read_text())
            counter.unlink()

        return Replayed(
            instrument=Rapl(powercap.folder, clock=lambda: powercap.now_s),
            advance=powercap.advance,
            unplug=unplug,
            plug_in=lambda: counter.write_text(kept[-1]),
            provenance=PROVENANCE_MEASURED,
        )


def test_platform_zone_is_not_added_to_the_packages(tmp_path: Path) -> None:
    powercap = PowerCap(tmp_path)
    psys = tmp_path / "intel-rapl:2"
    psys.mkdir()
    (psys / "name").write_text("psys\n")
    (psys / "max_energy_range_uj").write_text("262143328850\n")
    (psys / "energy_uj").write_text("0\n")
    instrument = Rapl(tmp_path, clock=lambda: powercap.now_s)

    (psys / "energy_uj").write_text("99000000\n")

    assert powercap.advance() == pytest.approx(instrument.watts(), rel=1e-3)


def test_machine_without_counters_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="not an x86 processor, or a virtual machine"):
        Rapl(tmp_path)
