"""The sources of inputs: recordings, a watched folder, a socket, a camera, an inertial sensor."""
