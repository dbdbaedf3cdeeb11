"""Measures the interactions of new interpreters that an app starts with `multiprocessing`.

A forked child inherits its parent's hooks. One that is spawned, or started by a fork server (the default from
Python 3.14 on), is a new interpreter. Such a child unpickles its preparation data as it starts; an object is
added to it whose unpickling installs the hooks.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from multiprocessing import spawn, util
from types import ModuleType
from typing import Any

from wotemu.app.agent_socket import connect

TRIGGER = "wotpy.wot.servient"
"""The module that every program on WoTPy imports."""
FLUSH_S = 1.0
"""Seconds that a child's exit may be delayed to send its last records."""
_EXIT_PRIORITY = 100
"""Finalizers of `multiprocessing` with the highest priority run first."""
_KEY = "wotemu"


class _Measure:
    """Pickles to a call of `measure` in the child."""

    def __init__(self, replica: str) -> None:
        self._replica = replica

    def __reduce__(self) -> tuple[Any, ...]:
        return measure, (self._replica,)


def measure_children(replica: str) -> None:
    """Have each child that is spawned from now on record its interactions as those of `replica`."""
    original = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {**original(name), _KEY: _Measure(replica)}

    spawn.get_preparation_data = get_preparation_data


def measure(replica: str) -> None:
    """In a child: install the hooks once it imports WoTPy, which takes long and most children never do."""
    measure_children(replica)  # of its own children, too
    if TRIGGER in sys.modules:
        _install(replica)
    else:
        sys.meta_path.insert(0, _AtImport(replica))


class _AtImport(importlib.abc.MetaPathFinder):
    """Installs the hooks after the import of `TRIGGER`."""

    def __init__(self, replica: str) -> None:
        self._replica = replica

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,  # noqa: ARG002  # a finder takes it
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """The module's usual spec, with a loader that installs the hooks after it."""
        if name != TRIGGER:
            return None
        sys.meta_path.remove(self)  # or `find_spec` below would come back here
        found = importlib.util.find_spec(name)
        if found is not None and found.loader is not None:
            found.loader = _Installing(found.loader, self._replica)
        return found


class _Installing(importlib.abc.Loader):
    """Loads a module with its own loader, then installs the hooks."""

    def __init__(self, loader: importlib.abc.Loader, replica: str) -> None:
        self._loader = loader
        self._replica = replica

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _install(self._replica)


def _install(replica: str) -> None:
    from wotemu_runtime.app_process.agent_connection import AgentConnection
    from wotemu_runtime.app_process.measuring.interaction_meter import Meter
    from wotemu_runtime.app_process.measuring.wotpy_hooks import install

    try:
        found = connect(os.environ)
    except OSError:
        found = None
    if found is None:
        print(f"wotemu: {replica}'s agent can't be reached: interactions are not measured", file=sys.stderr)
        return
    channel = AgentConnection(found)
    install(Meter(replica, channel.record))
    util.Finalize(None, channel.flush, (FLUSH_S,), exitpriority=_EXIT_PRIORITY)
