"""Where each replica has a folder of its own, by what it runs in. Apps are told by ``WOTEMU_SCRATCH``."""

IN_NAMESPACE = "/run/scratch"
"""Under the local engine: a tmpfs in the node's mount namespace."""
IN_CONTAINER = "/tmp/wotemu-scratch"  # noqa: S108  # nobody else is in the container
"""On a swarm."""
