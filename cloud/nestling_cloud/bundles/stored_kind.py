"""Reads from a bundle which offloaded inputs the cloud may store."""

from nestling.v1.bundle_pb2 import Manifest


def stored_kind(manifest: Manifest) -> str:
    """Return which offloaded inputs the cloud may store: "none", "hard" or "audited".

    The result is "none" if the bundle says nothing, or a word that this cloud does not know.
    """
    return manifest.keep_inputs if manifest.keep_inputs in {"hard", "audited"} else "none"
