"""The fleet: its devices, and what they are told."""
