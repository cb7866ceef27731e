"""The nest: the layout of its rings, the files of a bundle, and runnable capacities."""
