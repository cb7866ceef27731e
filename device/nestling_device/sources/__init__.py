"""Where inputs come from: recordings, a watched folder, a socket, a camera, an inertial sensor."""
