"""The nest: the layout of its rings, the files of a bundle, and a capacity ready to run."""
