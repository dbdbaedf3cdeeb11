"""Names that a topology takes, for names of a compose file."""

from __future__ import annotations

import itertools
import re

from wotemu.errors import TopologyError
from wotemu.topology.models import Network, Service

_ROOM = 40
"""Characters, which leave room for what makes a name unique."""


def allowed_name(name: str, scale: int, taken: set[str]) -> str:
    """A host name like `name`, whose replicas' names are free, too; adds all of them to `taken`.

    Args:
        name: The name in the file.
        scale: Replicas.
        taken: Host names in lower case.
    """
    base = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:_ROOM].strip("-_") or "node"
    try:
        Service(base, image="any")
        Network(base)
    except TopologyError:  # reserved, or read as an address
        base = f"n-{base}"
    for number in itertools.count(1):
        candidate = base if number == 1 else f"{base}-{number}x"
        replicas = [] if scale == 1 else [f"{candidate}-{i}" for i in range(1, scale + 1)]
        hosts = {each.lower() for each in (candidate, *replicas)}
        if not hosts & taken:
            taken |= hosts
            return candidate
    raise AssertionError  # count() has no end


def variable(name: str, kind: str, taken: set[str]) -> str:
    """A free Python name for a network or service, such as ``field_network``; adds it to `taken`."""
    base = f"{re.sub('[^A-Za-z0-9]+', '_', name).strip('_').lower() or 'the'}_{kind}"
    base = f"n_{base}" if base[0].isdigit() else base
    found = next(
        each
        for number in itertools.count(1)
        if (each := base if number == 1 else f"{base}_{number}") not in taken
    )
    taken.add(found)
    return found
