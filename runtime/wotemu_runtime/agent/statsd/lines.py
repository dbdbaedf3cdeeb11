"""Parses lines of StatsD and DogStatsD.

``NAME:VALUE|TYPE[|@RATE][|#TAG:VALUE,...]`` is a sample, with several values as ``NAME:1:2:3|ms``;
``_e{5,4}:title|text|t:warning`` is an event. What follows a ``|`` and is not known is ignored, as StatsD's
servers do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import attrs

COUNTER, GAUGE, SET = "c", "g", "s"
OBSERVED = ("ms", "h", "d")
"""Types whose every value counts by itself: timers, histograms and distributions."""
TYPES = (COUNTER, GAUGE, *OBSERVED, SET)

MAX_KEY = 200
"""Characters of a metric's key, its tags included."""
MAX_TEXT = 1000
"""Characters of an event's title or text."""

LEVELS = {"error": "error", "warning": "warning", "success": "info", "info": "info"}
"""The severities of events by their ``t:`` field."""

_NAME = re.compile(r"[^\s:|@#{}\x00-\x1f\x7f][^:|@#{}\x00-\x1f\x7f]*")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_EVENT = re.compile(rb"_e\{(\d{1,9}),(\d{1,9})\}:")


@attrs.frozen
class Sample:
    """One value of a metric.

    `value` is the text of a set's member, else a number; a counter's is already divided by its sample rate.
    `is_relative` says that a gauge changes by `value`.
    """

    key: str
    kind: str
    value: float | str
    is_relative: bool = False


@attrs.frozen
class ReportedEvent:
    """Something that a program says happened; `level` is ``info``, ``warning`` or ``error``."""

    title: str
    text: str
    level: str


def parse(line: bytes) -> Iterator[Sample | ReportedEvent]:
    """Parse one line.

    Raises:
        ValueError: It is no line of StatsD, and why.
    """
    if line.startswith(b"_e{"):
        yield _event(line)
        return
    if line.startswith(b"_sc|"):
        raise ValueError("service checks are not recorded")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    head, *fields = text.split("|")
    name, colon, values = head.partition(":")
    if not colon or not fields:
        raise ValueError("it is not NAME:VALUE|TYPE")
    if fields[0] not in TYPES:
        raise ValueError(f"the type {fields[0]!r} is none of {', '.join(TYPES)}")
    key = _key(name, fields[1:])
    yield from _samples(key, fields[0], values, _rate(fields[1:]))


def _samples(key: str, kind: str, values: str, rate: float) -> Iterator[Sample]:
    if kind == SET:
        yield Sample(key, kind, values)
        return
    numbers = [_number(value) for value in values.split(":")]  # all of them, before any counts
    for text, number in zip(values.split(":"), numbers, strict=True):
        value = number / rate if kind == COUNTER else number
        if not math.isfinite(value):
            raise ValueError(f"the value {text!r} is too large")
        yield Sample(key, kind, value, is_relative=kind == GAUGE and text[0] in "+-")


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"the value {text!r} is no number")
    return float(text)


def _rate(fields: list[str]) -> float:
    """The sample rate; 1 without one."""
    text = next((field[1:] for field in fields if field.startswith("@")), "1")
    rate = float(text) if _NUMBER.fullmatch(text) else 0.0
    if not 0 < rate <= 1:
        raise ValueError(f"the sample rate {text!r} is not above 0 and at most 1")
    return rate


def _key(name: str, fields: list[str]) -> str:
    """The metric's key: its name, and its tags sorted in braces."""
    name, *tags = name.split(",")  # InfluxDB's and Telegraf's place for tags
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a metric")
    for field in fields:
        if field.startswith("#"):
            tags += field[1:].split(",")
    shown = sorted({tag.strip().replace(":", "=", 1) for tag in tags if tag.strip()})
    key = f"{name}{{{','.join(shown)}}}" if shown else name
    if not key.isprintable():
        raise ValueError("a tag has control characters")
    if len(key) > MAX_KEY:
        raise ValueError(f"name and tags have more than {MAX_KEY} characters")
    return key


def _event(line: bytes) -> ReportedEvent:
    found = _EVENT.match(line)
    if found is None:
        raise ValueError("an event is _e{TITLE_BYTES,TEXT_BYTES}:TITLE|TEXT")
    start, sizes = found.end(), [int(size) for size in found.groups()]
    between, end = start + sizes[0], start + sizes[0] + 1 + sizes[1]
    rest = line[end:]
    if not sizes[0] or len(line) < end or line[between : between + 1] != b"|" or rest[:1] not in (b"", b"|"):
        raise ValueError("the event's title and text have not the lengths that it says")
    level = "info"
    for field in rest.decode(errors="replace").split("|"):
        if field.startswith("t:"):
            if field[2:] not in LEVELS:
                raise ValueError(f"the event's type {field[2:]!r} is none of {', '.join(LEVELS)}")
            level = LEVELS[field[2:]]
    title, text = (part.decode(errors="replace") for part in (line[start:between], line[between + 1 : end]))
    return ReportedEvent(title[:MAX_TEXT], text.replace("\\n", "\n")[:MAX_TEXT], level)
