"""Build, check, store, export and show releases.

`release` puts the models that `learning` trained into the `repository`; `cache` stores trained
bundles under a hash of everything that affects them. This package imports `learning`, `cloud_model`
and `tasks`, but nothing that serves.
"""

__all__ = [
    "cache",
    "export",
    "guarantee_text",
    "overview",
    "release",
    "repository",
    "train_release",
]
