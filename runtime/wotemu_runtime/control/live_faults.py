"""Faults of nodes and networks that are made, and undone, while a run goes on."""

from __future__ import annotations

from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.blocks import Heading, Protocol
from wotemu.scenario.vocabulary.actions import PlannedAction
from wotemu.scenario.vocabulary.at import Instant
from wotemu.scenario.vocabulary.during import Period
from wotemu_runtime.control.live_change import LiveChange, Names, OnTargets, groups_of, instant, names


@attrs.frozen(kw_only=True)
class Partition(LiveChange):
    """Separate groups of nodes from each other. See `Instant.partition`."""

    VERB = "partition"

    groups: tuple[Names, ...] = attrs.field(converter=groups_of)
    name: str | None = None

    def _act(self, when: Instant | Period) -> PlannedAction:
        if isinstance(when, Instant):
            return when.partition(*self.groups, name=self.name)
        if self.name is not None:
            raise ScenarioError(
                "a partition with a name ends when it is healed",
                where="partition",
                hint="leave out one of both",
            )
        return when.partition(*self.groups)

    def _arguments(self) -> list[str]:
        named = [] if self.name is None else [f"name={self.name!r}"]
        return [*(repr(list(group)) for group in self.groups), *named]


@attrs.frozen(kw_only=True)
class Block(OnTargets):
    """Drop packets between `targets` and `others` (empty: all others). See `Instant.block`."""

    VERB = "block"

    others: Names = attrs.field(default=(), converter=names)
    port: int | None = None
    protocol: Protocol | None = None
    direction: Heading | None = None
    name: str | None = None

    def _act(self, when: Instant | Period) -> PlannedAction:
        given: dict[str, Any] = {"port": self.port, "protocol": self.protocol, "direction": self.direction}
        if isinstance(when, Instant):
            return when.block(self.targets, self.others or None, **given, name=self.name)
        if self.name is not None:
            raise ScenarioError(
                "a block with a name ends when it is healed", where="block", hint="leave out one of both"
            )
        return when.block(self.targets, self.others or None, **given)

    def _arguments(self) -> list[str]:
        others = [repr(list(self.others))] if self.others else []
        given = {name: getattr(self, name) for name in ("port", "protocol", "direction", "name")}
        named = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return [repr(list(self.targets)), *others, *named]


@attrs.frozen(kw_only=True)
class Heal(LiveChange):
    """End a partition or block, or all of them. See `Instant.heal`."""

    VERB = "heal"

    name: str | None = None

    def _act(self, when: Instant | Period) -> PlannedAction:
        return instant(when, self).heal(self.name)

    def _arguments(self) -> list[str]:
        return [] if self.name is None else [repr(self.name)]


@attrs.frozen(kw_only=True)
class Cut(OnTargets):
    """Cut off a network, node, link or replica. See `Verbs.cut`."""

    VERB = "cut"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.cut(self.targets)


@attrs.frozen(kw_only=True)
class Reconnect(OnTargets):
    """Undo `Cut`. See `Instant.reconnect`."""

    VERB = "reconnect"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return instant(when, self).reconnect(self.targets)


@attrs.frozen(kw_only=True)
class Crash(OnTargets):
    """Crash nodes or replicas. See `Verbs.crash`."""

    VERB = "crash"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.crash(self.targets)


@attrs.frozen(kw_only=True)
class Stop(OnTargets):
    """Ask the apps of nodes or replicas to end. See `Verbs.stop`."""

    VERB = "stop"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.stop(self.targets)


@attrs.frozen(kw_only=True)
class Pause(OnTargets):
    """Suspend the processes of nodes or replicas. See `Verbs.pause`."""

    VERB = "pause"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.pause(self.targets)


@attrs.frozen(kw_only=True)
class Resume(OnTargets):
    """Undo `Pause`. See `Instant.resume`."""

    VERB = "resume"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return instant(when, self).resume(self.targets)


@attrs.frozen(kw_only=True)
class _OfCpuAndMemory(OnTargets):
    """A change of how much CPU time and memory nodes have or use."""

    cpu: float | None = None
    memory: str | int | None = None

    def _arguments(self) -> list[str]:
        given = {"cpu": self.cpu, "memory": self.memory}
        named = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return [*super()._arguments(), *named]


@attrs.frozen(kw_only=True)
class Limit(_OfCpuAndMemory):
    """Limit nodes or replicas. See `Verbs.limit`."""

    VERB = "limit"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.limit(self.targets, cpu=self.cpu, memory=self.memory)


@attrs.frozen(kw_only=True)
class Unlimit(OnTargets):
    """Undo `Limit`. See `Instant.unlimit`."""

    VERB = "unlimit"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return instant(when, self).unlimit(self.targets)


@attrs.frozen(kw_only=True)
class Stress(_OfCpuAndMemory):
    """Stress nodes or replicas by another program. See `Verbs.stress`."""

    VERB = "stress"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.stress(self.targets, cpu=self.cpu, memory=self.memory)


@attrs.frozen(kw_only=True)
class Unstress(OnTargets):
    """Undo `Stress`. See `Instant.unstress`."""

    VERB = "unstress"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return instant(when, self).unstress(self.targets)


@attrs.frozen(kw_only=True)
class FillDisk(OnTargets):
    """Fill the scratch folders of nodes or replicas. See `Verbs.fill_disk`."""

    VERB = "fill_disk"

    leave: str | int = 0

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.fill_disk(self.targets, leave=self.leave)

    def _arguments(self) -> list[str]:
        return [*super()._arguments(), *([f"leave={self.leave!r}"] if self.leave else [])]


@attrs.frozen(kw_only=True)
class FreeDisk(OnTargets):
    """Undo `FillDisk`. See `Instant.free_disk`."""

    VERB = "free_disk"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return instant(when, self).free_disk(self.targets)


@attrs.frozen(kw_only=True)
class SkewClock(OnTargets):
    """Have the wall clocks of nodes or replicas be wrong. See `Verbs.skew_clock`."""

    VERB = "skew_clock"

    by: str | float

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.skew_clock(self.targets, by=self.by)

    def _arguments(self) -> list[str]:
        return [*super()._arguments(), f"by={self.by!r}"]


@attrs.frozen(kw_only=True)
class Disconnect(OnTargets):
    """Unplug nodes from a network, or from all of theirs. See `Verbs.disconnect`."""

    VERB = "disconnect"

    network: str | None = None

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.disconnect(self.targets, self.network)

    def _arguments(self) -> list[str]:
        return [*super()._arguments(), *([repr(self.network)] if self.network else [])]


@attrs.frozen(kw_only=True)
class Connect(Disconnect):
    """Undo `Disconnect`. See `Instant.connect`."""

    VERB = "connect"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return instant(when, self).connect(self.targets, self.network)


@attrs.frozen(kw_only=True)
class Start(OnTargets):
    """Start the apps of nodes or replicas that do not run. See `Instant.start`."""

    VERB = "start"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return instant(when, self).start(self.targets)


@attrs.frozen(kw_only=True)
class Restart(OnTargets):
    """Start the apps of nodes or replicas again. See `Instant.restart`."""

    VERB = "restart"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return instant(when, self).restart(self.targets)
