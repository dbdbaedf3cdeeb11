"""What ``from wotemu import ...`` offers, and what it costs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import wotemu
import wotemu.scenario
from wotemu import scenario
from wotemu.scenario.objectives import words
from wotemu.topology import models

ROOT = Path(__file__).parents[2]


def test_every_public_name_is_there_and_listed() -> None:
    for name in wotemu.__all__:
        assert getattr(wotemu, name).__name__ == name
        assert name in dir(wotemu)


def objectives_words() -> set[str]:
    named = {name for name in scenario.__all__ if getattr(scenario, name).__module__ == words.__name__}
    assert {"p95", "errors", "availability", "node"} <= named
    return named


def test_names_are_those_of_the_packages_that_define_them() -> None:
    assert wotemu.Topology is models.Topology
    assert wotemu.at is scenario.at
    assert {*models.__all__} - {*wotemu.__all__} == {"PROBE_PORT"}
    # The words of objectives are in `wotemu.scenario` alone: `wotemu.errors` and `wotemu.app` are modules.
    of_objectives = {*objectives_words(), "Objective", "expect", "coap", "http"}
    assert {*scenario.__all__} - {*wotemu.__all__} == {"Resolver", "resolve"} | of_objectives


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nod'"):
        wotemu.Nod  # noqa: B018  # looked up for its error


@pytest.mark.parametrize(
    "path", ["README.md", "examples/quickstart.py", "examples/roaming.py", "examples/live.py"]
)
def test_what_the_readme_and_examples_import_is_public(path: str) -> None:
    text = (ROOT / path).read_text()
    for names in re.findall(
        r"^from wotemu(?:\.scenario|\.topology\.models)? import (.+)$", text, re.MULTILINE
    ):
        assert {*re.findall(r"\w+", names)} <= {*wotemu.__all__, *wotemu.scenario.__all__}


def test_importing_the_package_loads_nothing_but_what_loads_its_names() -> None:
    code = (
        "import sys, wotemu; print([n for n in sys.modules if n.startswith(('wotemu.', 'attr', 'polars'))])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert output.stdout.strip() == "['wotemu.lazy_names']"


def test_describing_a_deployment_loads_neither_polars_nor_the_runtime() -> None:
    code = (
        "import sys; from wotemu import Topology, Scenario, at\n"
        "print([n for n in sys.modules if n.startswith(('polars', 'redis', 'wotpy', 'wotemu_'))])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert output.stdout.strip() == "[]"
