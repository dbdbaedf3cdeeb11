"""Live control of a run: the changes and requests, and the connections that they travel over.

`live_changes` are the words of a scenario as values that can be sent; `requests` are all that a run can be
asked, and what it answers; `server` and `client` are the two ends of a connection, which is a Unix socket at
`socket_path` or goes over the event bus (`bus_transport`). The run's own side is
`wotemu_runtime.coordination.live_control`.
"""
