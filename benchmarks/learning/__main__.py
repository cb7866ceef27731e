"""Runs the learning benchmark by `python -m benchmarks.learning`."""

from benchmarks.learning.run import main

main()
