"""`wotemu.enums` of WoTemu 0.6, for deployments that import from it."""

from typing import NoReturn

from wotemu.compat.gone import refuse
from wotemu.compat.old_word import warn_of_old_word
from wotemu.topology.models import BuiltinApps, NetworkConditions

__all__ = ["BuiltinApps", "NetworkConditions"]

warn_of_old_word(
    "wotemu.enums is now wotemu, as in `from wotemu import NetworkConditions`. There a preset's rate was one "
    "for all nodes of a network and both ways; now each node has it for each way: Network(..., shared=True) "
    "shares it"
)


def __getattr__(name: str) -> NoReturn:
    refuse(__name__, name, __all__)
