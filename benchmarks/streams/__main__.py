"""Runs the stream benchmark when started as `python -m benchmarks.streams`."""

from benchmarks.streams.run import main

main()
