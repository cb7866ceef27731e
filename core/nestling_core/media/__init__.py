"""Decodes picture and sound files, and turns them into inputs, alike on devices and in the cloud.

The package may import `execution`.
"""

__all__ = ["errors", "front_end", "pictures", "sounds"]
