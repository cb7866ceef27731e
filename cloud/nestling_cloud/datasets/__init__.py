"""Looks at folders of pictures, sounds and recordings, and decides what a task of them needs.

The package reads files, finds labels and groups, plans the split, and says what looks wrong. It may
import `recipes`, but nothing that trains.
"""

__all__ = [
    "columns",
    "errors",
    "examine",
    "facts",
    "findings",
    "items",
    "label_kinds",
    "label_table",
    "listing",
    "look",
    "name_patterns",
    "picture_graph",
    "proposal",
    "recordings",
    "sound_files",
    "split",
    "survey",
    "window_proposal",
    "windows",
]
