"""Torch networks: the default teachers and the multiplexer."""
