"""What a user runs a deployment with: `emulation` in Python, `reported_run` for the command line."""
