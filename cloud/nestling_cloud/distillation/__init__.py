"""How a small network learns from a large one: losses, cached answers, assistants."""
