"""What the three commands share: their argument parser, and paths that are checked at once."""
