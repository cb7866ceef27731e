"""Reads from a bundle which offloaded inputs the cloud may store."""

from nestling.v1.bundle_pb2 import Manifest


def stored_kind(manifest: Manifest) -> str:
    """Return "none", "hard" or "audited".

    A bundle that says nothing, or a word that this cloud does not know, allows nothing.
    """
    return manifest.keep_inputs if manifest.keep_inputs in {"hard", "audited"} else "none"
