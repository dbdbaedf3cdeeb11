"""Runs from the outside: plan and execute, take over, fetch and stop composed ones, list, and remove."""
