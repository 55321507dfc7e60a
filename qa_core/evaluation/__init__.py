"""Predictions to figures with intervals, and to a page a person can read."""
