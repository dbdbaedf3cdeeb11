"""Runs a deployment: `emulation` from Python, `reported_run` for the command line."""
