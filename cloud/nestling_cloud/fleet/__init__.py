"""Who belongs to the fleet: its certificate authority, its devices, and how they join."""
