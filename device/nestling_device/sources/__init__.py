"""Where inputs come from: recordings, a watched folder, a UNIX socket, a camera, an inertial sensor."""
