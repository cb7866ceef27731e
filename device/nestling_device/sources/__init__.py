"""The sources of inputs: recordings, a watched folder, a socket, a camera, an inertial sensor."""

__all__ = ["camera", "cursor", "imu", "recorded", "source", "unix_socket", "watched_folder"]
