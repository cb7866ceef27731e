"""Runs the routing benchmark, when run as `python -m benchmarks.routing`."""

from benchmarks.routing.run import main

main()
