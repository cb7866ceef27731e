"""Releases: how they are built, checked, kept in a repository, exported and shown.

`release` puts what `learning` made into the `repository`; `cache` keeps trained bundles by a hash
of everything that they follow from. Imports `learning`, `cloud_model` and `tasks`; nothing that
serves.
"""
