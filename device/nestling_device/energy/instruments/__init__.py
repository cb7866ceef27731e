"""Reads power instruments, which measure the power that the machine draws.

The instruments are the chips INA219 and INA260, the energy counters of x86 processors (RAPL), and
the power management chip of the Raspberry Pi 5. Of the device's packages outside `energy`, this one
may import `hardware`.
"""

__all__ = ["ina", "instrument", "pmic", "rapl"]
