"""Renders the page: template, style, script, Vega and the charts' specifications, all inline in one file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from wotemu.errors import InputError
from wotemu.records.event_kinds import severity_of
from wotemu_report import formats
from wotemu_report.blocks import Figure, Format, Section
from wotemu_report.charts.layers import Spec, specification
from wotemu_report.charts.theme import CONFIG
from wotemu_report.charts.time_axis import LONG_S, over_time
from wotemu_report.page import vega_bundle
from wotemu_report.page.head import Head, head
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections import sections

_HERE = files("wotemu_report.page")


def render(run: RunData) -> str:
    """The report of `run` as HTML."""
    return page(head(run), sections(run), long=run.axis.end_s >= LONG_S, version=run.manifest.wotemu_version)


def page(top: Head, parts: Sequence[Section], *, long: bool, version: str) -> str:
    """A page as HTML.

    Args:
        top: Its header.
        parts: Its sections.
        long: Whether instants read as minutes and seconds.
        version: WoTemu's, for the footer.
    """
    return (
        _environment(long=long)
        .get_template("page.html.j2")
        .render(
            head=top,
            sections=parts,
            specs=_specs(parts),
            config=CONFIG,
            style=Markup(_text("style.css")),  # noqa: S704 - our own file
            script=Markup(_text("page.js")),  # noqa: S704 - our own file
            bundle=Markup(vega_bundle.script()),  # noqa: S704 - the library's own code, without the end of a script element
            version=version,
        )
    )


def save(html: str, folder: Path) -> Path:
    """Write `folder`/index.html in one step, so that a reader never sees half a page; returns its path.

    Raises:
        InputError: It can't be written.
    """
    path = folder / "index.html"
    # Renaming within one directory is atomic.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(html, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise InputError(
            f"the report can't be written: {error.strerror or error}",
            where=str(path),
            hint="name a directory that you may write to with --out",
        ) from error
    return path


def figure_spec(figure: Figure) -> Spec:
    """The Vega-Lite specification of a figure."""
    if figure.axis is None:
        return specification(figure.layers, height=figure.height, half=figure.half)
    return over_time(figure.axis, figure.layers, height=figure.height, half=figure.half)


def _specs(parts: Iterable[Section]) -> dict[str, Spec]:
    """The specification of each chart by its element's id: its section, and its number in it."""
    return {
        f"{part.id}-{number}": figure_spec(block)
        for part in parts
        for number, block in enumerate(part.blocks, 1)
        if isinstance(block, Figure)
    }


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _environment(*, long: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wotemu_report.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = partial(cell, long=long)
    environment.globals["tone"] = tone
    return environment


def cell(value: object, form: Format, *, long: bool = False) -> str:
    """A table cell's text; `long`: instants as minutes and seconds."""
    if form == "answer" and value == math.inf:
        return formats.NO_ANSWER
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return formats.NONE
    if isinstance(value, int | float) and form == "instant":
        return formats.instant(value, long)
    if isinstance(value, int | float) and form in _NUMBERS:
        return _NUMBERS[form](value)
    return str(value)


_NUMBERS = {
    "int": formats.count,
    "number": formats.number,
    "ms": formats.milliseconds,
    "answer": formats.answer,
    "bytes": formats.size,
    "percent": formats.percent,
}
_TONES_OF_SEVERITY = {"error": "bad", "warning": "warn"}
_TONES_OF_STATES = {"applied": "good", "not applied": "bad", "failed": "bad", "run.done": "good"}
"""The results of changes, and the one event that is good news."""


def tone(text: object) -> str:
    """The colour of a state, a verdict or an event's kind: bad, warn, good or plain."""
    words = str(text)
    known = formats.VERDICT_TONES.get(words) or _TONES_OF_STATES.get(words)
    return known or _TONES_OF_SEVERITY.get(severity_of(words), "plain")
