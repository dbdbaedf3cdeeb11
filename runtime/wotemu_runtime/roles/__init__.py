"""What every role has: an assignment, a bus session, commands, scheduled changes, addresses, a host report.

Start reading at `role`: it composes the others. Several roles of one process may share one `session`, and
with it one connection, one clock, one reader of the command stream and one host report.
"""
