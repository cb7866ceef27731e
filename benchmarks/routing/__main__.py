"""Runs the routing benchmark by `python -m benchmarks.routing`."""

from benchmarks.routing.run import main

main()
