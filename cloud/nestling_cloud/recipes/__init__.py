"""Training options of a task: plain frozen dataclasses, checked when they are created."""
