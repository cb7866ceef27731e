"""Run with `python -m benchmarks.learning`."""

from benchmarks.learning.run import main

main()
