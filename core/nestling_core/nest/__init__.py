"""The nest: the layout of its rings, the files of a bundle, and runnable capacities."""

__all__ = ["bundle_files", "capacity", "layout"]
