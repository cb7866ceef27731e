"""Times and energies of networks, measured on this machine."""
