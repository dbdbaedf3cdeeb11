"""Paths of each replica's own folder, by what it runs in. Apps find theirs in ``WOTEMU_SCRATCH``."""

IN_NAMESPACE = "/run/scratch"
"""Under the local engine: a tmpfs in the node's mount namespace."""
IN_CONTAINER = "/tmp/wotemu-scratch"  # noqa: S108  # nobody else is in the container
"""On a swarm."""
