"""Values of compose files: text with variables, commands, environments, memory."""

from __future__ import annotations

import re
import shlex

from wotemu.compose_import.left_out import LeftOuts
from wotemu.errors import LoadError
from wotemu.forms.document import Item

_DEFAULT = re.compile(r"(?<!\$)((?:\$\$)*)\$\{[A-Za-z_]\w*:?-([^{}]*)\}")
"""``${NAME:-default}``, unless its ``$`` belongs to a pair, which stands for one ``$``."""
_NESTED = 10
"""Defaults within each other that are read; what is nested deeper stays as it is and is left out."""
_VARIABLE = re.compile(r"\$(?:(\$)|[A-Za-z_]\w*|\{[A-Za-z_]\w*(?::?[-?+][^{}]*)?\})")
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_FACTORS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def mapping(item: Item) -> Item:
    """The item, which has to be a mapping.

    Raises:
        LoadError: It is not.
    """
    if not isinstance(item.value, dict):
        raise LoadError(f"it is {item.what}, but has to be a mapping", where=item.place)
    return item


def text(item: Item, left: LeftOuts) -> str:
    """A scalar as text, with the defaults of its variables in their place.

    Raises:
        LoadError: It is no scalar.
    """
    if isinstance(item.value, dict | tuple) or item.value is None:
        raise LoadError(f"it is {item.what}, but has to be text", where=item.place)
    if isinstance(item.value, bool):
        return str(item.value).lower()

    written = str(item.value)
    for _ in range(_NESTED):  # a default may have a variable with a default
        written = _DEFAULT.sub(r"\1\2", written)

    def value_of(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        left.add(item.place, f"the variable {found[0]} has no default: write its value")
        return found[0]

    return _VARIABLE.sub(value_of, written)


def command(item: Item, left: LeftOuts) -> tuple[str, ...]:
    """A command or entrypoint: a list, or text that is split as a shell splits it. Empty is ``()``.

    Raises:
        LoadError: It is neither, or has an open quote.
    """
    if item.value is None:
        return ()
    if isinstance(item.value, tuple):
        return tuple(text(each, left) for each in item.value)
    try:
        return tuple(shlex.split(text(item, left)))
    except ValueError as error:
        raise LoadError(f"it can't be split into words: {error}", where=item.place) from error


def environment(item: Item, left: LeftOuts) -> dict[str, str]:
    """Environment variables: a mapping, or a list of ``NAME=value``.

    Raises:
        LoadError: It is neither.
    """
    found: dict[str, str] = {}
    if isinstance(item.value, tuple):
        for each in item.value:
            name, has_value, value = text(each, left).partition("=")
            if has_value:
                found[name] = value
            else:
                left.add(each.place, f"the value of {name} is the shell's: write it into env")
        return found
    for name, each in ({} if item.value is None else mapping(item).value).items():
        if each.value is None:
            left.add(item.place_of(name), f"the value of {name} is the shell's: write it into env")
        else:
            found[name] = text(each, left)
    return found


def whole(item: Item, left: LeftOuts) -> int:
    """A whole number from 0 to 99999.

    Raises:
        LoadError: It is not.
    """
    written = text(item, left)
    if not re.fullmatch("[0-9]{1,5}", written):
        raise LoadError(f"{written!r:.40} is not a whole number of at most 5 digits", where=item.place)
    return int(written)


def cores(item: Item, left: LeftOuts) -> float:
    """CPU cores.

    Raises:
        LoadError: It is no number.
    """
    written = text(item, left)
    if not re.fullmatch(r"[0-9]{0,9}\.?[0-9]{1,9}", written):
        raise LoadError(f"{written!r:.40} is not a number of CPU cores", where=item.place)
    return float(written)


def memory(item: Item, left: LeftOuts) -> str:
    """Memory in WoTemu's units, whose K, M and G are powers of 1024, as compose's are; ``""`` for 0.

    Raises:
        LoadError: It is no amount of memory.
    """
    written = text(item, left)
    match = _MEMORY.fullmatch(written.strip())
    if match is None or len(written) > 30:
        raise LoadError(f"{written!r:.40} is not an amount of memory", where=item.place, hint='write "64m"')
    size = int(float(match[1]) * _FACTORS[match[2].lower()])
    for unit in "GMK":
        if size and size % _FACTORS[unit.lower()] == 0:
            return f"{size // _FACTORS[unit.lower()]}{unit}"
    return f"{size}B" if size else ""
