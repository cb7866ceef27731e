"""Simulates a fleet of devices.

The package runs real device agents, a real cloud and a real MQTT broker under scripted conditions.
It may import every other package of Nestling, and no other package imports it.
"""
