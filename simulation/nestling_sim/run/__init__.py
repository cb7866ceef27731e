"""A run from data to report, stage by stage; the only room that starts a cloud."""
