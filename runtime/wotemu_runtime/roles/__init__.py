"""What runs in a container: ``python -m wotemu_runtime.roles ROLE``."""
