"""A simulated I2C bus with one chip, in place of smbus2's `SMBus`."""

from collections.abc import Callable, Sequence

NO_ANSWER = 121  # EREMOTEIO, the kernel's error if no chip acknowledges an address


class SimulatedBus:
    """A chip whose registers are bytes; registers in `live` are computed for every reading."""

    def __init__(self, address: int, registers: dict[int, bytes]) -> None:
        self.address = address
        self.registers = registers
        self.live: dict[int, Callable[[], bytes]] = {}
        self.written: list[tuple[int, bytes]] = []
        self.broken = False
        self.closed = False

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
        self._acknowledge(i2c_addr)
        make = self.live.get(register)
        data = make() if make is not None else self.registers[register]
        assert len(data) >= length
        return list(data[:length])

    def write_i2c_block_data(self, i2c_addr: int, register: int, data: Sequence[int]) -> None:
        self._acknowledge(i2c_addr)
        self.written.append((register, bytes(data)))
        self.registers[register] = bytes(data)

    def close(self) -> None:
        self.closed = True

    def _acknowledge(self, address: int) -> None:
        if self.broken or address != self.address or self.closed:
            raise OSError(NO_ANSWER, "Remote I/O error")
