"""An app's function as text, so that one that a script or a notebook defines can travel to its node."""

from __future__ import annotations

import base64
import contextlib
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from wotemu.errors import LoadError, TopologyError
from wotemu.topology.node_app import AppFunction

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
"""Python's byte code differs from one of these to the next."""


def pack_function(function: AppFunction, where: str) -> str:
    """The function with what it uses of its own module; other modules are imported again at the node.

    Args:
        function: A coroutine function.
        where: The node that runs it, for messages.

    Raises:
        TopologyError: It uses something that can't travel, such as a lock or an open file.
    """
    import cloudpickle

    module = inspect.getmodule(inspect.unwrap(getattr(function, "func", function)))
    try:
        with _by_value(module):
            code = cloudpickle.dumps(function)
    except Exception as error:  # whatever the objects that it refers to raise
        raise TopologyError(
            f"it can't travel to its node: {error}",
            where=where,
            hint="make what it needs inside the function, or give a file: NodeApp('app.py:function')",
        ) from error
    return f"{_VERSION}:{base64.b64encode(code).decode()}"


def unpack_function(code: str) -> AppFunction:
    """What `pack_function` was given.

    Raises:
        LoadError: Another version of Python packed it.
        Exception: Whatever the modules raise that it imports.
    """
    import cloudpickle

    version, _, packed = code.partition(":")
    if version != _VERSION:
        raise LoadError(
            f"the function comes from Python {version}, and this is {_VERSION}",
            where="NodeApp, field 'path'",
            hint="use the same version, or give a file: NodeApp('app.py:function')",
        )
    function: AppFunction = cloudpickle.loads(base64.b64decode(packed))
    return function


@contextmanager
def _by_value(module: ModuleType | None) -> Iterator[None]:
    """Have a module's functions travel with their code, unless it is installed where nodes find it."""
    import cloudpickle

    if module is None or module.__name__ == "__main__" or _is_installed(module):
        yield
        return
    is_new = module.__name__ not in cloudpickle.list_registry_pickle_by_value()
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        if is_new:
            with contextlib.suppress(ValueError):
                cloudpickle.unregister_pickle_by_value(module)


def _is_installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    if file is None:
        return True  # built into Python
    homes = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(Path(file).is_relative_to(home) for home in homes)
