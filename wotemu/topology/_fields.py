"""Converters and validators that name the object and the field when a value can't be."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import attrs

from wotemu.errors import InputError, TopologyError
from wotemu.suggestions import did_you_mean
from wotemu.units import Bytes, Fraction, QuantityLike, Rate, Seconds

HOST_NAME = re.compile(r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$", re.IGNORECASE)
MAX_NAME = 48
"""Characters of a name: leaves room, within the 63 of a host name label, for a replica's number."""
RESERVED = ("wotemu-", "gateway-of-")
"""How the names begin that WoTemu's own roles have where nodes could look them up."""

MAX_CORES = 10_000
"""More than any machine has."""
LOCAL_NAMES = frozenset(
    {
        *("localhost", "localhost4", "localhost6", "loopback", "broadcasthost"),
        *("ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix"),
        *("ip6-allnodes", "ip6-allrouters", "ip6-allhosts"),
    }
)
"""What /etc/hosts of the usual systems has for loopback, broadcast and multicast addresses."""
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
"""What inet_aton(3), and so getaddrinfo(3), reads as an address: ``2`` is 0.0.0.2."""


def describe_object(obj: Any) -> str:
    """How messages name an object: ``Node 'reader'``."""
    name = getattr(obj, "name", None)
    kind = type(obj).__name__
    return f"{kind} {name!r}" if isinstance(name, str) else kind


def fail(obj: Any, field: str, message: str, hint: str | None = None) -> TopologyError:
    """The error for one field of one object."""
    return TopologyError(message, where=f"{describe_object(obj)}, field {field!r}", hint=hint, field=field)


def named_errors(_cls: type, fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    """A field transformer for attrs: what a converter raises becomes an error that names the field."""
    return [
        field if field.converter is None else field.evolve(converter=_naming(field.converter))
        for field in fields
    ]


def _naming(parse: Any) -> attrs.Converter[Any, Any]:
    def convert(value: Any, instance: Any, field: attrs.Attribute[Any]) -> Any:
        try:
            return parse(value)
        except (ValueError, TypeError) as error:
            raise fail(instance, field.name, str(error)) from error

    return attrs.Converter(convert, takes_self=True, takes_field=True)


ReadArguments = Callable[[str, tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]
"""Makes arguments by place and by name, of the class of this name, into others."""

_read_arguments: ReadArguments | None = None


@contextlib.contextmanager
def read_arguments_with(read: ReadArguments) -> Iterator[None]:
    """Let the arguments of all that is made inside of this context pass through `read`."""
    global _read_arguments  # the classes are made in files of users, which can be given nothing else
    before, _read_arguments = _read_arguments, read
    try:
        yield
    finally:
        _read_arguments = before


class Checked:
    """A base of attrs classes whose missing or unknown arguments are an `InputError`, too."""

    ALIASES: ClassVar[Mapping[str, str]] = {}
    """What other tools call some of the fields."""
    ERROR: ClassVar[type[InputError]] = TopologyError
    """The error that is raised."""
    FIELD: ClassVar[str] = "field"
    """What messages call a field."""

    @classmethod
    def hint_for(cls, unknown: str, fields: list[str]) -> str | None:
        """What may be meant by a field that there is not."""
        return did_you_mean(unknown, fields, cls.ALIASES)

    def __init_subclass__(cls) -> None:
        """Wrap the `__init__` that attrs made; a class's own call is still its own TypeError."""
        super().__init_subclass__()
        made = cls.__dict__.get("__init__")
        if made is None:
            return

        @functools.wraps(made)
        def init(self: Checked, *args: Any, **kwargs: Any) -> None:
            if _read_arguments is not None:
                args, kwargs = _read_arguments(type(self).__name__, args, kwargs)
            try:
                made(self, *args, **kwargs)
            except TypeError:
                _check_arguments(type(self), made, args, kwargs)
                raise

        setattr(cls, "__init__", init)  # noqa: B010  # to type checkers, the signature is still that of attrs


def _check_arguments(
    cls: type[Checked], init: Callable[..., None], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """`InputError` if the arguments do not fit the signature; nothing if the TypeError was another."""
    parameters = [p for p in inspect.signature(init).parameters.values() if p.name != "self"]
    names = [parameter.name for parameter in parameters]
    kind, name = cls.__name__, kwargs.get("name", args[0] if args and names[:1] == ["name"] else None)
    place = f"{kind} {name!r}" if isinstance(name, str) else kind
    for given in kwargs:
        if given not in names:
            raise cls.ERROR(
                f"there is no such {cls.FIELD}",
                where=f"{place}, field {given!r}",
                hint=cls.hint_for(given, names),
                field=given,
            ) from None
    positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    if len(args) > len(positional):
        first = args[len(positional)]
        raise cls.ERROR(
            f"{first!r:.80} needs a name", where=place, hint=f"write NAME=...: names are {', '.join(names)}"
        ) from None
    for parameter in parameters:
        missing = parameter.default is parameter.empty and parameter.name not in kwargs
        if missing and parameter.name not in positional[: len(args)]:
            where = f"{place}, field {parameter.name!r}"
            raise cls.ERROR("it is missing", where=where, field=parameter.name) from None
    for given in positional[: len(args)]:
        if given in kwargs:
            raise cls.ERROR("it is given twice", where=f"{place}, field {given!r}", field=given) from None


def seconds(value: QuantityLike | None) -> Seconds:
    """The converter of a duration that has a default of zero."""
    return Seconds(0) if value is None else Seconds.of(value)


def fraction(value: QuantityLike | None) -> Fraction:
    """The converter of a share that has a default of zero."""
    return Fraction(0) if value is None else Fraction.of(value)


def share(value: QuantityLike) -> Fraction:
    """The converter of a share that must be given."""
    return Fraction.of(value)


def optional_rate(value: QuantityLike | None) -> Rate | None:
    """The converter of a rate; None is no limit."""
    return None if value is None else Rate.of(value)


def flag(value: bool) -> bool:
    """The converter of a yes or no."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither True nor False")
    return value


def whole_bytes(value: int) -> int:
    """The converter of a whole number of bytes of a packet."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number of bytes")
    return value


def optional_bytes(value: QuantityLike | None) -> Bytes | None:
    """The converter of a size; None is not given."""
    return None if value is None else Bytes.of(value)


def optional_cores(value: QuantityLike | None) -> float | None:
    """The converter of a number of CPU cores; None is not given."""
    if value is None:
        return None
    try:
        cores = float(value) if isinstance(value, str | int | float) else 0.0
    except (ValueError, TypeError):
        cores = 0.0
    if isinstance(value, bool) or not 0 < cores <= MAX_CORES:
        raise ValueError(f"{value!r} is not a number of CPU cores: write one such as 0.5")
    return cores


def check_name(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A name must work as a host name: nodes find each other by it."""
    if not isinstance(value, str) or not value:
        raise fail(instance, attribute.name, f"{value!r} is not a name: give a non-empty string")
    if len(value) > MAX_NAME:
        raise fail(instance, attribute.name, f"{value!r} is longer than {MAX_NAME} characters")
    if not HOST_NAME.match(value):
        raise fail(
            instance,
            attribute.name,
            f"{value!r} can't be a host name",
            hint="use letters, digits, '-' and '_', beginning and ending with a letter or digit",
        )
    if value.lower().startswith(RESERVED):
        raise fail(
            instance,
            attribute.name,
            f"{value!r}: names that begin so are WoTemu's own",
            hint="take another name",
        )


def check_host_name(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """As `check_name`; besides, resolvers must not take it for an address or for the node itself."""
    check_name(instance, attribute, value)
    if _NUMBER.fullmatch(value):
        raise fail(
            instance,
            attribute.name,
            f"{value!r} is read as an IPv4 address, so it is never looked up",
            hint=f"write a letter before it, such as {'n' + value!r}",
        )
    if value.lower() in LOCAL_NAMES:
        raise fail(
            instance,
            attribute.name,
            f"{value!r} stands for the node itself or its network in /etc/hosts",
            hint="take another name",
        )


def each(
    instance: Any, field: str, values: Any, kinds: type | tuple[type, ...], what: str
) -> tuple[Any, ...]:
    """The sequence as a tuple whose items all are of `kinds`."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise fail(instance, field, f"{values!r} is no list: write [...], each of it {what}")
    items = tuple(values)
    for item in items:
        if not isinstance(item, kinds):
            raise fail(instance, field, f"{item!r} is not {what}")
    return items


def kind_of(
    kind: type, what: str, *, optional: bool = False
) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """A validator: the value is of this kind."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not (isinstance(value, kind) or (optional and value is None)):
            raise fail(instance, attribute.name, f"{value!r} is not {what}")

    return check


def whole(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A whole number of at least one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise fail(instance, attribute.name, f"{value!r} is not a whole number of at least 1")


def strings(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A mapping of strings to strings, as an environment is."""
    if not isinstance(value, dict) or not all(
        isinstance(k, str) and isinstance(v, str) for k, v in value.items()
    ):
        raise fail(instance, attribute.name, f"{value!r} is not a dict of strings to strings")


def text(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise fail(instance, attribute.name, f"{value!r} is not a non-empty string")


def optional_text(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Text that says something, or None."""
    if value is not None:
        text(instance, attribute, value)
