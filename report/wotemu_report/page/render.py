"""Renders the page: template, style, script, Vega and the charts' specifications, all inline in one file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
import jinja2
from markupsafe import Markup

from wotemu.errors import InputError
from wotemu_report.axis import Axis
from wotemu_report.blocks import Figure, NodePages, Section
from wotemu_report.charts.layers import Spec, specification
from wotemu_report.charts.theme import CONFIG
from wotemu_report.charts.time_axis import LONG_S, over_time
from wotemu_report.page import lazy_data, vega_bundle
from wotemu_report.page.cells import cell, tone
from wotemu_report.page.head import Head, head, run_name
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections import THREADS, sections

_HERE = files("wotemu_report.page")
_SCRIPTS = ("rows", "charts", "zoom", "nodes", "tables")
_MAX_PHASE_BUTTONS = 16


@attrs.frozen
class PageParts:
    """What a page is made of, as HTML and JSON: the whole page, or what a live one has to replace.

    Attributes:
        header: Inside of the header element.
        navigation: Inside of the navigation: links to the sections, and phases.
        sections: Each section element by its id.
        specs: The charts' specifications by their elements' ids.
        axis: What all charts share: where the time axis ends, nodes' elements, and the chart that they share.
        lazy: Compressed data of what is folded; see `lazy_data`.
    """

    header: str
    navigation: str
    sections: Mapping[str, str]
    specs: Mapping[str, Spec]
    axis: Mapping[str, Any]
    lazy: str

    @property
    def charts(self) -> dict[str, Any]:
        """The data of the page's script."""
        return {"config": CONFIG, "specs": self.specs, **self.axis}


def render(run: RunData) -> str:
    """The report of `run` as HTML."""
    return document(run_parts(run), name=run_name(run), version=run.manifest.wotemu_version)


def run_parts(run: RunData) -> PageParts:
    """The parts of the report of `run`."""
    # What two parts need is made once, see `once_a_run`.
    with ThreadPoolExecutor(THREADS, "part") as pool:
        top = pool.submit(head, run)
        parts = sections(run, pool)
    return page_parts(top.result(), parts, run.axis)


def page(top: Head, parts: Sequence[Section], *, axis: Axis, version: str) -> str:
    """A page as HTML.

    Args:
        top: Its header.
        parts: Its sections.
        axis: The time axis that its charts share.
        version: WoTemu's, for the footer.
    """
    return document(page_parts(top, parts, axis), name=top.name, version=version)


def page_parts(top: Head, parts: Sequence[Section], axis: Axis) -> PageParts:
    """The parts of a page: see `page`."""
    long = axis.end_s >= LONG_S
    pages = next((block for part in parts for block in part.blocks if isinstance(block, NodePages)), None)
    node_ids = pages.ids if pages else {}
    environment = _environment(long=long)
    environment.globals["node_ids"] = node_ids
    section = environment.get_template("section.html.j2")
    shared = {
        "node_chart": _without_rows(figure_spec(pages.chart)) if pages and pages.chart else None,
        "end_s": axis.end_s,
        "node_ids": node_ids,
    }
    lazy = {"folds": lazy_data.folds(parts, long=long), "nodes": lazy_data.node_pages(pages, long=long)}
    return PageParts(
        header=environment.get_template("header.html.j2").render(head=top),
        navigation=environment.get_template("navigation.html.j2").render(
            head=top,
            sections=parts,
            phases=axis.phases if 1 < len(axis.phases) <= _MAX_PHASE_BUTTONS else (),
            end_s=axis.end_s,
        ),
        sections={part.id: section.render(section=part) for part in parts},
        specs=_specs(parts),
        axis=shared,
        lazy=lazy_data.packed(lazy),
    )


def document(parts: PageParts, *, name: str, version: str, live_version: int | None = None) -> str:
    """The whole page of its parts as HTML.

    Args:
        parts: What it shows.
        name: Its title.
        version: WoTemu's, for the footer.
        live_version: The number of these parts, on a page that a server sends newer ones; None for a file.
    """
    is_live = live_version is not None
    bundle, script = vega_bundle.script(), _script(is_live=is_live)
    markup = attrs.evolve(
        parts,
        header=Markup(parts.header),  # noqa: S704 - of templates that escape
        navigation=Markup(parts.navigation),  # noqa: S704
        sections={key: Markup(text) for key, text in parts.sections.items()},  # noqa: S704
    )
    return (
        _environment(long=False)
        .get_template("page.html.j2")
        .render(
            parts=markup,
            name=name,
            is_live=is_live,
            live_version=live_version,
            allowed=" ".join(_hash(text) for text in (bundle, script)),
            style=Markup(_text("style.css")),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own files
            bundle=Markup(bundle),  # noqa: S704 - the library's own code, without the end of a script element
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


def _without_rows(spec: Spec) -> Spec:
    """The specification with empty data sets where a node's own rows belong."""
    first, end = spec["usermeta"]["own"]
    own = {drawn["data"]["name"] for drawn in spec["layer"][first:end]}
    datasets = {name: "" if name in own else rows for name, rows in spec["datasets"].items()}
    return {**spec, "datasets": datasets}


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """By what a Content-Security-Policy allows an inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _script(*, is_live: bool) -> str:
    """The page's own script; its parts share one scope."""
    names = (*_SCRIPTS, *(["live"] if is_live else []), "main")
    parts = "\n".join(_text(f"script/{name}.js") for name in names)
    return f'"use strict";\n(() => {{\n{parts}\n}})();'


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
