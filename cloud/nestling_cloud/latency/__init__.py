"""Predict a student's latency on a board: probe networks to measure there, and a fitted model."""
