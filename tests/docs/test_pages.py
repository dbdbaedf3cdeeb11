"""Links lead somewhere, generated parts are current, and every public name is there."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

import wotemu
import wotemu.app
import wotemu.scenario
from tests.docs import generated_pages
from tests.docs.pages import PAGES, ROOT, all_blocks, blocks, headings, links
from wotemu.cli import main
from wotemu.topology.builtin_apps import BuiltinApps
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.link_conditions import LinkConditions
from wotemu.topology.node_app import WOTPY_FIXES

DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor and file.suffix == ".md":
            assert anchor in headings(file), f"{page.name} links to {target}"


def test_every_page_is_linked_from_the_index() -> None:
    linked = {target.partition("#")[0] for target in links(DOCS / "index.md")}
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} <= linked


def test_what_is_generated_is_current() -> None:
    for page, content in generated_pages.expected().items():
        assert (DOCS / page).read_text() == content, (
            f"docs/{page} is not current: run python -m tests.docs.generated_pages"
        )


def test_every_public_name_is_in_the_api_page() -> None:
    page = (DOCS / "api.md").read_text()
    for module in (wotemu, wotemu.app, wotemu.scenario):
        for name in module.__all__:
            assert f"\n### {name}\n" in page


def test_every_public_name_has_a_docstring_of_its_own() -> None:
    for module in (wotemu, wotemu.app, wotemu.scenario):
        for name in module.__all__:
            assert getattr(module, name).__doc__, name


def vocabulary() -> set[str]:
    """Every word of topology and scenario, as the page has to have it."""
    others = {"Certificate", "Emulation", "RecordedRun", "RecordedSweep", "Thresholds"}
    functions = {
        *("load", "run", "run_sync", "sweep", "repeat", "search", "compare", "write_comparison"),
        "resolve",
        "Resolver",
    }
    exported = {*wotemu.__all__, *wotemu.scenario.__all__} - others - functions
    words = {name for name in exported if not name.endswith("Error")}
    for word in (type(wotemu.at(0)), type(wotemu.during(0, 1))):
        words |= {
            f".{name}" for name in dir(word) if not name.startswith("_") and callable(getattr(word, name))
        }
    conditions = {field.name for field in attrs.fields(NetworkConditions)}
    presets = {*NetworkConditions.presets(), *LinkConditions.presets()}
    fields = {
        field.name
        for kind in (
            wotemu.Topology, wotemu.Network, wotemu.Link, wotemu.Node, wotemu.NodeApp, wotemu.Broker,
            wotemu.Service, wotemu.NodeResources, wotemu.Placement, wotemu.Ports, wotemu.Scenario,
            wotemu.PathLoss,
        )
        for field in attrs.fields(kind)
    }  # fmt: skip
    return words | conditions | presets | fields


def test_the_vocabulary_is_complete() -> None:
    page = (DOCS / "vocabulary.md").read_text()
    missing = {word for word in vocabulary() if not re.search(rf"(?<!\w){re.escape(word)}\b", page)}
    assert not missing


def test_apps_and_fixes_are_described() -> None:
    page = (DOCS / "apps.md").read_text()
    for name in (*BuiltinApps, *WOTPY_FIXES):
        assert f"`{name}`" in page


def test_every_command_is_described() -> None:
    page = (DOCS / "commands.md").read_text()
    for name, command in main.commands.items():
        assert command.hidden or f"\n## wotemu {name}\n" in page


def test_a_block_says_its_language_and_few_are_not_run() -> None:
    unnamed = [block.where for page in PAGES for block in blocks(page) if not block.language]
    assert not unnamed
    excused = [block for kind in ("python", "sh") for block in all_blocks(kind) if block.reason]
    assert len(excused) <= 14, "\n".join(f"{block.where}: {block.reason}" for block in excused)
