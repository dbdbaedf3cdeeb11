"""Live control of a run: the changes and requests, and the Unix socket that they travel over.

`live_changes` are the words of a scenario as values that can be sent; `requests` and `replies` are all that a
run can be asked, and what it answers; `server` and `client` are the two ends of the socket, which lies at
`socket_path`. The run's own side is `wotemu_runtime.coordination.live_control`.
"""
