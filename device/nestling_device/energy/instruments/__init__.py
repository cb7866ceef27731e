"""What reads power: chips, counters, a board's own power management."""
