"""Drives a run from deployment to removal: readiness, scenario, guards, succession, shutdown."""
