"""Judges the objectives of a run's scenario by its tables."""
