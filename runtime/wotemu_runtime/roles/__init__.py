"""What every role has: an assignment, a clock, commands, pending changes and a host report."""
