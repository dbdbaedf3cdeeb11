"""`wotemu.utils` of WoTemu 0.6, for apps that import from it."""

from typing import NoReturn

from wotemu.compat.apps import NodeHTTPTimeout, consume_from_catalogue, wait_node
from wotemu.compat.gone import refuse

__all__ = ["NodeHTTPTimeout", "consume_from_catalogue", "wait_node"]


def __getattr__(name: str) -> NoReturn:
    refuse(__name__, name, __all__)
