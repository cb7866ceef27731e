"""Simulates devices that report to a broker, when run as `python -m benchmarks.crowd`."""

from benchmarks.crowd.run import main

main()
