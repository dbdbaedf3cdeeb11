"""`wotemu.monitor.utils` of WoTemu 0.6, for apps that import from it."""

from wotemu.compat.apps import write_metric

__all__ = ["write_metric"]
