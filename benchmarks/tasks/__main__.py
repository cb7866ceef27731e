"""Runs the benchmark of tasks, when run as `python -m benchmarks.tasks`."""

from benchmarks.tasks.run import main

main()
