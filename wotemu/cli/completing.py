"""Completion of arguments in a shell: files, names of runs, and names in a run."""

from __future__ import annotations

import contextlib
import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from wotemu.recorded_run import RecordedRun

DEPLOYMENTS = (".py", ".yml", ".yaml", ".json")
"""How the names of deployments' files end."""
PATH = "path"
"""Items of a shell that are paths: a folder is followed by a slash, and not by a blank."""
SWARM_DEADLINE_S = 3.0
"""For so long a shell waits for a swarm's manager."""
PART = "part"
"""Items that are no whole word: no blank follows."""


class _Completed(click.ParamType[str]):
    """Text, of which a shell completes some."""

    name = "text"
    item_type = "plain"

    @abstractmethod
    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:
        """What may be meant; those that do not begin like `incomplete` are left out."""

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002  # as click calls it
        incomplete: str,
    ) -> list[CompletionItem]:
        """The candidates that begin like this; none where it can't be known."""
        from click.shell_completion import CompletionItem

        found: list[str] = []
        with contextlib.suppress(Exception):  # an error's text would be taken for what is completed
            found = [each for each in self.candidates(ctx, incomplete) if each.startswith(incomplete)]
        return [CompletionItem(each, type=self.item_type) for each in found]


class DeploymentFile(_Completed):
    """A deployment's file: folders, and files whose names end as a deployment's."""

    item_type = PATH

    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG002
        """In the folder that is written so far."""
        folder, slash, start = incomplete.rpartition("/")
        for each in sorted((Path(folder + slash) if slash else Path()).expanduser().iterdir()):
            is_hidden = each.name.startswith((".", "__")) and not start.startswith((".", "__"))
            if not is_hidden and (each.is_dir() or each.suffix.lower() in DEPLOYMENTS):
                yield f"{folder}{slash}{each.name}{'/' if each.is_dir() else ''}"


class EmulationName(_Completed):
    """The name of a run of this machine that goes on."""

    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG002
        """Those whose process answers."""
        from wotemu_runtime.control.socket_path import control_names

        return control_names()


class SwarmEmulationName(_Completed):
    """The name of an emulation on the swarm of DOCKER_HOST."""

    def __init__(self, *, orphaned: bool) -> None:
        """All of them, or with `orphaned` those alone that no process drives."""
        self._orphaned = orphaned

    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG002
        """None where the swarm does not answer soon."""
        import asyncio

        from wotemu_runtime.runs.emulations import NO_COORDINATOR, list_emulations

        async def listed() -> list[str]:
            async with asyncio.timeout(SWARM_DEADLINE_S):
                found = await list_emulations()
            wanted = (each for each in found if not self._orphaned or each.coordinator == NO_COORDINATOR)
            return [each.inventory.name for each in wanted]

        return asyncio.run(listed())


class RunName(_Completed):
    """A run directory, by its name under ``runs/``."""

    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG002
        """Those that have been recorded."""
        from wotemu.cli.local_runs import RUNS, run_folders

        folder = Path(incomplete).parent if "/" in incomplete else RUNS
        return [str(each) if "/" in incomplete else each.name for each in run_folders(folder)]


class EmulationOrRunName(_Completed):
    """The name of a run that goes on or has been recorded."""

    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:
        """Those that go on first."""
        names = [*EmulationName().candidates(ctx, incomplete), *RunName().candidates(ctx, incomplete)]
        return dict.fromkeys(names)


class NodeName(_Completed):
    """A node or one of its replicas, of the run that is the argument NAME before it."""

    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG002
        """Of the topology that the run has recorded."""
        return [replica for node in _topology(ctx)["nodes"] for replica in _replicas(node)]


class ListedNames(_Completed):
    """Names of nodes, or of all that conditions are set of, with commas between them."""

    item_type = PART

    def __init__(self, *, hops: bool) -> None:
        """Names of nodes; with `hops` also those of networks, and of nodes on networks."""
        self._hops = hops

    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:
        """Those that may follow the last comma."""
        given, comma, _ = incomplete.rpartition(",")
        topology = _topology(ctx)
        for name in self._names(topology):
            if name not in given.split(","):
                yield given + comma + name

    def _names(self, topology: dict[str, Any]) -> Iterator[str]:
        if not self._hops:
            for node in topology["nodes"]:
                yield from dict.fromkeys([node["name"], *_replicas(node)])
            return
        yield from (each["name"] for each in topology["networks"])
        members = [*topology["nodes"], *topology["brokers"], *topology["services"]]
        yield from (each["name"] for each in members)
        yield from (f"{each['name']}@{link['network']}" for each in members for link in each["networks"])


class ConditionValue(_Completed):
    """A condition with its value, ``latency=200ms``, or a preset."""

    item_type = PART

    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG002
        """The names of all of them."""
        from wotemu.scenario.condition_values import CONDITIONS
        from wotemu.topology.conditions import NetworkConditions
        from wotemu.topology.link_conditions import LinkConditions

        presets = [*NetworkConditions.presets(), *LinkConditions.presets()]
        return [*(f"{name}=" for name in CONDITIONS), *presets]


class TableName(_Completed):
    """A table of the run that is the argument RUN before it."""

    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG002
        """Those that it has."""
        return _recorded(_given(ctx, "run")).tables


class FigureName(_Completed):
    """A figure of the report of the run that is the argument RUN before it."""

    def candidates(self, ctx: click.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG002
        """Those that it has."""
        from wotemu_report.export.figures import figures
        from wotemu_report.recorded.run_data import RunData
        from wotemu_report.sections import sections

        return figures(sections(RunData.load(_recorded(_given(ctx, "run")).run_dir)))


def _given(ctx: click.Context, argument: str) -> str:
    """The first argument of a command; an option without its value yet leaves it among the unparsed ones."""
    return str(ctx.params.get(argument) or ctx.args[0])


def _topology(ctx: click.Context) -> dict[str, Any]:
    """The topology of the run that the argument NAME names: of one that goes on, else of its record."""
    from wotemu_runtime.control.socket_path import control_names

    name = _given(ctx, "name")
    found = _live_run_dir(name) if name in control_names() else name
    topology: dict[str, Any] = json.loads((_recorded(found).run_dir / "topology.json").read_text())
    return topology


def _live_run_dir(name: str) -> str:
    import asyncio

    from wotemu_runtime.control.client import ControlClient

    async def ask() -> str:
        async with asyncio.timeout(2):
            return str((await ControlClient(name).status()).run_dir)

    return asyncio.run(ask())


def _recorded(run: str) -> RecordedRun:
    from wotemu.cli.local_runs import found_run
    from wotemu.recorded_run import RecordedRun

    return RecordedRun(found_run(run))


def _replicas(node: dict[str, Any]) -> list[str]:
    name, scale = node["name"], node["scale"]
    return [name] if scale == 1 else [f"{name}-{number}" for number in range(1, scale + 1)]
