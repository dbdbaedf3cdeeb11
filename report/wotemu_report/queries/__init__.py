"""Queries: pure functions from a run's tables to the small tables that sections show."""
