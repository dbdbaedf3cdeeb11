"""What runs in a container: ``python -m wotemu_runtime.container ROLE``."""
