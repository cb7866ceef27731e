"""What `nestling-device doctor` looks at, a module for each place where something can be wrong."""
