"""The image's entry points: ``python -m wotemu_runtime.container ROLE``.

A container reads its assignment (`assignment_file`), waits for the bus and for its networks (`startup`), and
then runs its role; `health` answers the container's health check meanwhile. What engines and containers have
to agree on is in `wotemu_runtime.roles.container_environment`.
"""
