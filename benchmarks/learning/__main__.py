"""Runs the learning benchmark, when run as `python -m benchmarks.learning`."""

from benchmarks.learning.run import main

main()
