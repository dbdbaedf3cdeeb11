"""Replaces attributes of classes and modules until a stack is closed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any


def replace(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Set an attribute; the stack puts back what was there, or nothing where it was inherited."""
    if name in vars(owner):
        stack.callback(setattr, owner, name, vars(owner)[name])
    else:
        stack.callback(delattr, owner, name)
    setattr(owner, name, value)
