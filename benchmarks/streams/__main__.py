"""Runs the benchmark of streams, when run as `python -m benchmarks.streams`."""

from benchmarks.streams.run import main

main()
