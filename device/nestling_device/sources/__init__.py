"""Supplies a device's inputs.

They come from recordings, a watched folder, a socket, a camera or an inertial sensor. Of the
device's other packages, this one may import `delivery`, `hardware` and `storage`.
"""

__all__ = [
    "camera",
    "cursor",
    "imu",
    "media_reader",
    "replay",
    "source",
    "unix_socket",
    "watched_folder",
]
