"""`wotemu.utils` of WoTemu 0.6, for apps that import from it."""

from wotemu.compat.apps import NodeHTTPTimeout, consume_from_catalogue, wait_node

__all__ = ["NodeHTTPTimeout", "consume_from_catalogue", "wait_node"]
