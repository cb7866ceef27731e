"""Data from peers and files: every fault becomes one kind of error, and few lines in a log."""
