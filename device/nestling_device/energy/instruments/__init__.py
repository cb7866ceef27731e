"""Power meters: INA219 and INA260, RAPL counters, the Raspberry Pi 5's power management chip."""
