"""Bundles: what a release is made of, and where it is kept."""
