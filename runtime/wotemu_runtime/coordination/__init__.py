"""Drives a run from deployment to removal.

`coordinator` is the lifecycle. Beside it: `readiness` (the barrier before T0), `succession` (lease, card and
take-over), `shutdown` (ending the roles, the certificate), `watches` (tasks that go on meanwhile), `guards`,
`command_sender` and `command_log`. They share a `live_run`: the run's state, control, recorder, outcome.
"""
