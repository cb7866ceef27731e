"""How long a student takes on a board: networks to measure there, and a model of the times."""
