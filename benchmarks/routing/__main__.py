"""Run with `python -m benchmarks.routing`."""

from benchmarks.routing.run import main

main()
