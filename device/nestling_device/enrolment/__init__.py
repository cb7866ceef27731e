"""How a device gets its certificate, renews it, and finds its cloud."""
