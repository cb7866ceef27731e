"""Power instruments: INA219, INA260, RAPL counters, the Raspberry Pi 5's power management chip."""

__all__ = ["ina", "instrument", "pmic", "rapl"]
