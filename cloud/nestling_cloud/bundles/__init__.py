"""Contains the code that builds, checks, stores, exports and shows releases.

`release` puts the models that `learning` trained into the `repository`, and `cache` keeps trained
bundles for later runs. This package may import `learning`, `cloud_model` and `tasks`, but nothing
that serves devices.
"""

__all__ = [
    "cache",
    "export",
    "guarantee_text",
    "overview",
    "quick_notice",
    "release",
    "repository",
    "repository_errors",
    "routing_facts",
    "stored_kind",
    "train_release",
]
