"""Runs a simulation from data to report, stage by stage; only this room starts a cloud."""

__all__ = ["run"]
