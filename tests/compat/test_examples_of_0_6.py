"""The examples of WoTemu 0.6 plan and compose with the changes that the guide lists, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest
import yaml
from click.testing import CliRunner

from wotemu.cli import main
from wotemu.deployment_file import Deployment, load
from wotemu.errors import InputError
from wotemu.scenario import Resolver
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import make_plan

pytestmark = pytest.mark.filterwarnings("ignore::wotemu.compat.OldWordWarning")

ORIGINALS = Path(__file__).parent / "examples_of_0_6"
GUIDE = Path(__file__).parents[2] / "docs" / "from-0.6.md"
NAMES = sorted(path.name.partition(".")[0] for path in ORIGINALS.glob("*.py.txt"))

SERVER_APP = """
import json
import time

THING = {
    "@context": "https://www.w3.org/2022/wot/td/v1.1",
    "id": "urn:wotemu:quickstart:thing",
    "title": "Quickstart",
    "security": ["nosec"],
    "securityDefinitions": {"nosec": {"scheme": "nosec"}},
    "properties": {name: {"type": "number", "readOnly": True} for name in ("uptime", "clock")},
}


async def app(wot, conf, loop):
    began = time.time()

    async def uptime():
        return time.time() - began

    async def clock():
        return time.time()

    thing = wot.produce(json.dumps(THING))
    thing.set_property_read_handler("uptime", uptime)
    thing.set_property_read_handler("clock", clock)
    thing.expose()
"""
"""In place of the app that the quickstart fetched from elsewhere."""


@attrs.frozen
class Change:
    """A row of the guide: what is replaced in which examples; with nothing where it is left out."""

    examples: tuple[str, ...]
    old: tuple[str, ...]
    new: str

    def applied(self, text: str) -> str:
        for old in self.old:
            pattern = re.escape(old).replace(r"\ ", r"\s+")
            text, count = re.subn(pattern, lambda _: self.new, text)
            assert count, f"{old} is in none of {self.examples}"
        return text


def _changes() -> list[Change]:
    section = GUIDE.read_text().partition("### The examples of 0.6")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    found = []
    for where, old, new in rows[1:]:
        named = re.findall("`([^`]+)`", where)
        examples = [name for name in NAMES if name not in named] if "all but" in where else named
        replacement = "" if new.startswith("left out") else re.findall("`([^`]+)`", new)[0]
        found.append(Change(tuple(examples), tuple(re.findall("`([^`]+)`", old)), replacement))
    return found


CHANGES = _changes()


def written(folder: Path, name: str, without: Change | None = None) -> Path:
    """An example with the changes of the guide, but for one."""
    text = (ORIGINALS / f"{name}.py.txt").read_text()
    for change in CHANGES:
        if name in change.examples and change is not without:
            text = change.applied(text)
    (folder / "server_app.py").write_text(SERVER_APP)
    file = folder / f"{name}.py"
    file.write_text(text)
    return file


def planned(deployment: Deployment) -> Plan:
    timeline = Resolver(deployment.topology, deployment.scenario).timeline
    return make_plan(deployment.topology, timeline, stack="old", root=deployment.root, on_this_machine=True)


def test_the_guide_is_about_these() -> None:
    assert {name for change in CHANGES for name in change.examples} == set(NAMES)
    assert len(NAMES) == 5


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_plans_and_composes(name: str, tmp_path: Path) -> None:
    file = written(tmp_path, name)
    deployment = load(file)
    assert deployment.warnings, "its old words are named"
    plan = planned(deployment)
    done = CliRunner().invoke(main, ["compose", "--path", str(file)])
    assert done.exit_code == 0, done.output
    composed = yaml.safe_load(file.with_suffix(".yml").read_text())
    nodes = {replica.node for replica in plan.replicas}
    assert nodes <= set(composed["services"])
    assert {f"gw-{network.name}" for network in deployment.topology.networks} <= set(composed["services"])
    replicas = {node: sum(replica.node == node for replica in plan.replicas) for node in nodes}
    assert {node: composed["services"][node]["deploy"].get("replicas", 1) for node in nodes} == replicas


@pytest.mark.parametrize(
    ("name", "change"),
    [(name, change) for change in CHANGES for name in change.examples],
    ids=lambda value: value if isinstance(value, str) else value.old[0][:30],
)
def test_each_change_is_needed(name: str, change: Change, tmp_path: Path) -> None:
    """Without one of them, the error says what to write, before anything starts."""
    with pytest.raises(InputError) as caught:
        planned(load(written(tmp_path, name, without=change)))
    assert caught.value.hint or "write " in caught.value.message


def test_the_broker_is_reached_over_the_network_that_was_named(tmp_path: Path) -> None:
    """Each camera's forms name the broker on its own uplink, as in 0.6."""
    plan = planned(load(written(tmp_path, "surveillance_cloud")))
    urls = {r.node: r.app.conf.broker_url for r in plan.replicas if r.app is not None and "camera" in r.node}
    assert {node: url.partition("broker.")[2] for node, url in urls.items() if url is not None} == {
        node: f"edge_{'2g' if 'loc1' in node else '3g'}_{node.split('_')[1]}:1883" for node in urls
    }
