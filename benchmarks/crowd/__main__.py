"""Plays simulated devices to a broker by `python -m benchmarks.crowd`."""

from benchmarks.crowd.run import main

main()
