"""Turns inputs that devices sent into files, and folders of such files into training data.

This package may import `store`, `tasks` and `datasets`.
"""

__all__ = [
    "added_training",
    "export",
    "input_file",
    "input_folder",
    "label_forms",
    "released_labels",
]
