"""Python in the documentation runs: each page's blocks in order, with what the ones before defined."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks
from wotemu import Scenario, Topology
from wotemu.scenario.resolver import resolve

RUNS = re.compile(r"^(async with|async for|(\w[\w, ]* = )?(await|run_sync))\b", re.M)
"""What makes a block one that runs an emulation, and not only defines values."""

WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]


class Page:
    """Runs the blocks of one page in one module, of which apps are sent to nodes by value."""

    def __init__(self, page: Path) -> None:
        self._blocks = [block for block in blocks(page) if block.language == "python" and not block.reason]
        self.module = types.ModuleType("__main__")

    @property
    def runs(self) -> bool:
        """Whether a block runs an emulation."""
        return any(RUNS.search(block.code) for block in self._blocks)

    async def run(self, *, emulate: bool) -> None:
        """Run all blocks, those that emulate only if asked to; check what they define as a plan would."""
        for block in self._blocks:
            if emulate or not RUNS.search(block.code):
                await self._run(block)

    async def _run(self, block: Block) -> None:
        names: dict[str, Any] = vars(self.module)
        names.pop("events", None)
        names["__file__"] = str(Path.cwd() / "deployment.py")
        source = "\n" * (block.line - 1) + block.code
        code = compile(source, block.where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        made = eval(code, names)  # the documentation's own code
        if inspect.isawaitable(made):
            await made
        self._plan(block)

    def _plan(self, block: Block) -> None:
        """Resolve what the block leaves: a topology with its scenario, or with a list of `events`."""
        names = vars(self.module)
        topology, scenario = (self._made(names.get(name)) for name in ("topology", "scenario"))
        if "events" in names:
            scenario = Scenario(duration="2h", events=names["events"])
        if isinstance(topology, Topology) and isinstance(scenario, Scenario):
            timeline, _ = resolve(topology, scenario)
            assert timeline.hash, block.where

    @staticmethod
    def _made(value: Any) -> Any:
        if not inspect.isfunction(value):
            return value
        return value() if not inspect.signature(value).parameters else None


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with what the pages' code names: the example's traces."""
    shutil.copytree(ROOT / "examples/traces", tmp_path / "traces")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_a_pages_python_is_a_plan(page: Path) -> None:
    asyncio.run(Page(page).run(emulate=False))


@pytest.mark.namespaces
@pytest.mark.parametrize(
    "page", [page for page in WITH_PYTHON if Page(page).runs], ids=lambda page: page.name
)
def test_a_pages_emulations_run(page: Path, local_engine: None) -> None:
    asyncio.run(Page(page).run(emulate=True))


@pytest.mark.namespaces
def test_the_recipes_tests_pass(local_engine: None) -> None:
    """The blocks that only define are a module of tests, which pytest runs in a process of its own."""
    code = [
        block.code
        for block in blocks(ROOT / "docs/recipes.md")
        if block.language == "python" and not RUNS.search(block.code)
    ]
    Path("test_recipes.py").write_text("\n\n".join(code))
    argv = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "test_recipes.py"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
