"""Records the call that made an action, so that the action can be written as a form."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import attrs

from wotemu.errors import Place
from wotemu.scenario.vocabulary.source_location import user_place

Words = TypeVar("Words", bound=type)


@attrs.frozen(eq=False)
class Written:
    """An action as a call: ``begin.verb(arguments)``.

    Attributes:
        begin: What the verb is a method of: the moment, period, interval or condition.
        verb: The name of the method.
        arguments: By name, as they were given; conditions are among them. Those left out are not.
        place: The file and line of the call.
    """

    begin: Any
    verb: str
    arguments: Mapping[str, Any]
    place: Place | None


def keeps_calls(cls: Words) -> Words:
    """A decorator of a class whose public methods make actions: each action keeps its call as `written`."""
    for name, method in list(vars(cls).items()):
        if inspect.isfunction(method) and not name.startswith("_"):
            setattr(cls, name, _keeping(method))
    return cls


def _keeping(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def made(self: Any, *args: Any, **kwargs: Any) -> Any:
        args = tuple(map(_reusable, args))
        kwargs = {name: _reusable(value) for name, value in kwargs.items()}
        action = method(self, *args, **kwargs)
        given = signature.bind(self, *args, **kwargs).arguments
        written = Written(self, method.__name__, _by_name(signature, given), user_place())
        return attrs.evolve(action, written=written)

    return made


def _by_name(signature: inspect.Signature, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without `self`, and with those of ``**conditions`` among them."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= {key: _copied(each) for key, each in value.items()}
        elif name != "self" and value is not parameter.default:
            found[name] = _copied(value)
    return found


def _reusable(value: Any) -> Any:
    """An iterator as a tuple, so that both the action and its record can go through it."""
    return tuple(value) if isinstance(value, Iterator) else value


def _copied(value: Any) -> Any:
    """A value that does not change when a list or dict of the user's does."""
    if type(value) in (list, tuple):
        return tuple(map(_copied, value))
    return {key: _copied(each) for key, each in value.items()} if type(value) is dict else value
