"""The state of a scenario at one moment, and the atomic changes that lead from one moment to the next."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.blocks import Block
from wotemu.scenario.state.base_conditions import base_conditions
from wotemu.scenario.state.layers import Layer
from wotemu.scenario.state.node_settings import NOTHING, NodeSetting, SettingKind, SettingLayers
from wotemu.scenario.state.observations import Observed
from wotemu.scenario.state.partitions import Groups, Named, NotOnePartitionError, Unnamed, combined
from wotemu.scenario.timeline import Change, ChangeKind, Direction, HopKey
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.members import networks_of, replicas_of, replicas_on
from wotemu.topology.topology import Topology


@attrs.define
class State:
    """Everything that a scenario can change. Steps call its methods, which return the atomic changes.

    Instants change what lies at the bottom; periods lay something over it and take it away again. What
    holds is computed from both, so whatever ends leaves nothing behind.
    """

    topology: Topology
    base: Mapping[HopKey, NetworkConditions]
    conditions: dict[HopKey, NetworkConditions]
    """The conditions in force."""
    instants: dict[HopKey, NetworkConditions]
    """What the topology and instants have set, below all periods."""
    layers: dict[HopKey, list[Layer]] = attrs.field(factory=dict)
    """The periods that go on, those that began later above."""
    partition: Groups = ()
    partitions: dict[Hashable, tuple[Groups, int]] = attrs.field(factory=dict)
    """Every partition that holds, by its name or its period, with the event that it comes from."""
    blocks: dict[Hashable, Block] = attrs.field(factory=dict)
    """Every block that holds, by its name or its period."""
    cuts: dict[tuple[str, str], set[Hashable]] = attrs.field(factory=dict)
    """Why a replica is cut off a network: its traffic flows again once no reason is left."""
    unplugged: dict[tuple[str, str], set[Hashable]] = attrs.field(factory=dict)
    """Why a replica's interface on a network has no carrier."""
    app: dict[str, str] = attrs.field(factory=dict)
    """What runs where, by replica. A plain service's program is not WoTemu's to start or end."""
    wanted: dict[str, str] = attrs.field(factory=dict)
    """What instants want to run where: ``running`` or ``stopped``."""
    halts: dict[str, set[Hashable]] = attrs.field(factory=dict)
    """The periods in which a replica's app is stopped."""
    pauses: dict[str, set[Hashable]] = attrs.field(factory=dict)
    """Why the processes of a replica are suspended: they go on once no reason is left."""
    settings: dict[tuple[SettingKind, str], SettingLayers] = attrs.field(factory=dict)
    """The limits, stress and full disks of replicas, where they are others than at T0."""
    crashes: dict[str, dict[Hashable, bool]] = attrs.field(factory=dict)
    """The crashes of a replica that hold, and whether its app is killed yet."""
    event: int = -1
    """The event, by its place in the scenario, whose step is carried out."""
    observed: Observed = attrs.field(factory=Observed)
    _json: dict[HopKey, dict[str, Any]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, topology: Topology) -> State:
        """The state at T0."""
        replicas = {replica: "running" for node in topology.nodes for replica in node.replicas}
        replicas |= {broker.name: "running" for broker in topology.brokers}
        base = base_conditions(topology)
        return cls(topology, base, dict(base), dict(base), app=replicas, wanted=dict(replicas))

    # Conditions

    def set_instant(self, at_us: int, key: HopKey, values: Mapping[str, Any]) -> Iterator[Change]:
        """Set conditions of one hop (or one network), below all periods."""
        before = self.instants[key]
        for name in (name for name, value in values.items() if value != getattr(before, name)):
            self.observed.busy.add(self.event)
            self.observed.sets(self.event, key, name, _what(name, key), at_us)
            self._note_hidden(at_us, key, name, "hidden")
        self.instants[key] = before.replaced(values)
        yield from self._settle(at_us, key)

    def restore(self, at_us: int, key: HopKey) -> Iterator[Change]:
        """Put the topology's own conditions of one hop back, below all periods."""
        if self.instants[key] != self.base[key]:
            self.observed.busy.add(self.event)
            self.instants[key] = self.base[key]
        for layer in self.layers.get(key, ()):
            self.observed.meet(self.event, layer.event, "restored", _place(key), at_us)
        yield from self._settle(at_us, key)

    def lay(self, at_us: int, key: HopKey, layer: Layer, values: Mapping[str, Any]) -> Iterator[Change]:
        """Set conditions of one hop in a period's layer, which is put on top where it is new."""
        layers = self.layers.setdefault(key, [])
        if layer not in layers:
            layers.append(layer)
        own = layer.values.setdefault(key, {})
        for name in values if layer.REPLACES else ():
            if name not in own:
                self._note_hidden(at_us, key, name, "covered")
        own.update(values)
        yield from self._settle(at_us, key)

    def lift(self, at_us: int, key: HopKey, layer: Layer) -> Iterator[Change]:
        """Take a period's layer away from one hop."""
        self.layers[key] = [each for each in self.layers[key] if each is not layer]
        yield from self._settle(at_us, key)

    def _note_hidden(self, at_us: int, key: HopKey, name: str, how: Any) -> None:
        for layer in self.layers.get(key, ()):
            if layer.REPLACES and name in layer.values.get(key, ()):
                self.observed.meet(layer.event, self.event, how, _what(name, key), at_us)

    def _settle(self, at_us: int, key: HopKey) -> Iterator[Change]:
        """What holds at one hop now; what held already is no change."""
        after = self.instants[key]
        for layer in self.layers.get(key, ()):
            below, after = after, layer.over(key, after)
            if layer.event not in self.observed.busy and after != below:
                self.observed.busy.add(layer.event)
        before = self.conditions[key]
        if after == before:
            return
        network, node, direction = key
        was = self._json.get(key) or before.to_dict()
        self.conditions[key], self._json[key] = after, after.to_dict()
        yield change(at_us, "conditions", network, node, direction, was, self._json[key])

    # Partitions and cuts

    def part(self, at_us: int, name: Hashable, groups: Groups | None, where: str) -> Iterator[Change]:
        """Begin, replace or (None) end one of the partitions that hold, on every network."""
        held, _ = self.partitions.pop(name, (None, -1))
        if held != groups:
            self.observed.busy.add(self.event)
        if groups is not None:
            if isinstance(name, Named):
                self.observed.named.add(name.name)
            for other, (_, event) in self.partitions.items():
                if isinstance(name, Unnamed) and isinstance(other, Unnamed):
                    self.observed.meet(event, self.event, "stacked", "", at_us)
            self.partitions[name] = groups, self.event
        before, self.partition = self.partition, self._parted(where)
        if before != self.partition:
            for network in self.topology.networks:
                yield change(
                    at_us, "partition", network.name, None, None, _lists(before), _lists(self.partition)
                )

    def _parted(self, where: str) -> Groups:
        replicas = [replica for owner in self.topology.members for replica in replicas_of(owner)]
        try:
            return combined([groups for groups, _ in self.partitions.values()], replicas)
        except NotOnePartitionError as error:
            raise ScenarioError(
                f"with the partitions that hold already, {error.between!r} would reach {error.one!r} and "
                f"{error.other!r}, which do not reach each other",
                where=where,
                hint=f"put {error.between!r} into one of the groups",
            ) from error

    def block(self, at_us: int, name: Hashable, block: Block | None, where: str) -> Iterator[Change]:
        """Begin, replace or (None) end one of the blocks that hold, on the networks that it concerns."""
        before = {network.name: self._blocked(network.name) for network in self.topology.networks}
        if self.blocks.pop(name, None) != block:
            self.observed.busy.add(self.event)
        if block is not None:
            if isinstance(name, Named):
                self.observed.named.add(name.name)
            self.blocks[name] = block
            if not any(self._is_on(block, network.name) for network in self.topology.networks):
                raise ScenarioError("these nodes share no network", where=where)
        for network, held in before.items():
            if held != (now := self._blocked(network)):
                yield change(at_us, "block", network, None, None, held, now)

    def _blocked(self, network: str) -> list[dict[str, Any]]:
        held = dict.fromkeys(block for block in self.blocks.values() if self._is_on(block, network))
        return [block.to_dict() for block in held]

    def _is_on(self, block: Block, network: str) -> bool:
        """Whether a network has nodes of both sides of a block."""
        there = set(replicas_on(self.topology, network))
        sides = there.intersection(block.nodes), there.intersection(block.others)
        return bool(sides[0]) and bool(sides[1] if block.others else there - sides[0])

    def set_cut(
        self, at_us: int, replica: str, networks: Iterable[str], reason: Hashable, cut: bool
    ) -> Iterator[Change]:
        """Cut one replica off networks for a reason, or take that reason back."""
        for network in networks:
            reasons = self.cuts.setdefault((replica, network), set())
            before = bool(reasons)
            if cut != (reason in reasons):
                self.observed.busy.add(self.event)
            (reasons.add if cut else reasons.discard)(reason)
            if before != bool(reasons):
                yield change(at_us, "cut", network, replica, None, before, not before)

    def unplug(
        self, at_us: int, replica: str, networks: Iterable[str], reason: Hashable, unplugged: bool
    ) -> Iterator[Change]:
        """Take the carrier of one replica's interfaces away for a reason, or take that reason back."""
        for network in networks:
            reasons = self.unplugged.setdefault((replica, network), set())
            before = bool(reasons)
            if unplugged != (reason in reasons):
                self.observed.busy.add(self.event)
            (reasons.add if unplugged else reasons.discard)(reason)
            if before != bool(reasons):
                yield change(at_us, "disconnect", network, replica, None, before, not before)

    # Apps

    def stop(self, at_us: int, replica: str) -> Iterator[Change]:
        """Stop an app; where it has crashed, it is stopped once the crash is undone."""
        if self.wanted[replica] != "stopped":
            self.observed.busy.add(self.event)
        self.wanted[replica] = "stopped"
        yield from self._settle_app(at_us, replica)

    def start(self, at_us: int, replica: str, *, anew: bool) -> Iterator[Change]:
        """Undo all crashes of a replica and run its app; `anew` starts one again that runs already."""
        crashes = list(self.crashes.get(replica, ()))
        if anew or crashes or self.wanted[replica] != "running":
            self.observed.busy.add(self.event)
        for crash in crashes:
            yield from self._end_crash(at_us, replica, crash)
        self.wanted[replica] = "running"
        yield from self._settle_app(at_us, replica, anew=anew)

    def halt(self, at_us: int, replica: str, reason: Hashable, halted: bool) -> Iterator[Change]:
        """Have an app be stopped for a reason, or take that reason back."""
        self.observed.busy.add(self.event)
        reasons = self.halts.setdefault(replica, set())
        (reasons.add if halted else reasons.discard)(reason)
        yield from self._settle_app(at_us, replica)

    def pause(self, at_us: int, replica: str, reason: Hashable, paused: bool) -> Iterator[Change]:
        """Suspend a replica's processes for a reason, or take that reason back."""
        reasons = self.pauses.setdefault(replica, set())
        before = bool(reasons)
        if paused != (reason in reasons):
            self.observed.busy.add(self.event)
            self.observed.pauses(self.event, replica, reason, paused)
        (reasons.add if paused else reasons.discard)(reason)
        if before != bool(reasons):
            yield change(at_us, "pause", None, replica, None, before, not before)

    def set_on_node(
        self,
        at_us: int,
        kind: SettingKind,
        replica: str,
        value: NodeSetting | None,
        period: Hashable | None = None,
    ) -> Iterator[Change]:
        """Set something on a replica, such as limits, for a period or from now on; None takes it back."""
        layers = self.settings.setdefault((kind, replica), SettingLayers(NOTHING[kind]))
        before = layers.now
        if period is None:
            layers.instant = NOTHING[kind] if value is None else value.over(layers.instant)
        elif value is None:
            layers.periods.pop(period, None)
        else:
            layers.periods[period] = value
        if before != layers.now:
            self.observed.busy.add(self.event)
            yield change(at_us, kind, None, replica, None, before.to_dict(), layers.now.to_dict())

    def silence(self, at_us: int, replica: str, crash: Hashable) -> Iterator[Change]:
        """The begin of a crash: the replica's network goes silent."""
        self.crashes.setdefault(replica, {})[crash] = False
        yield from self.set_cut(at_us, replica, networks_of(self.topology, replica), crash, True)

    def kill(self, at_us: int, replica: str, crash: Hashable) -> Iterator[Change]:
        """The app dies, unless the crash has been undone meanwhile."""
        if crash in self.crashes.get(replica, ()):
            self.crashes[replica][crash] = True
            yield from self._settle_app(at_us, replica)

    def revive(self, at_us: int, replica: str, crash: Hashable) -> Iterator[Change]:
        """Undo one crash of a replica, if it still holds: what is wanted runs again."""
        if crash in self.crashes.get(replica, ()):
            yield from self._end_crash(at_us, replica, crash)
            yield from self._settle_app(at_us, replica)

    def _end_crash(self, at_us: int, replica: str, crash: Hashable) -> Iterator[Change]:
        del self.crashes[replica][crash]
        yield from self.set_cut(at_us, replica, networks_of(self.topology, replica), crash, False)

    def _settle_app(self, at_us: int, replica: str, *, anew: bool = False) -> Iterator[Change]:
        after = self.wanted[replica]
        if self.halts.get(replica):
            after = "stopped"
        if any(self.crashes.get(replica, {}).values()):
            after = "crashed"
        before, self.app[replica] = self.app[replica], after
        if before != after or (anew and after == "running"):
            yield change(at_us, "app", None, replica, None, before, after)


def change(
    at_us: int,
    action: ChangeKind,
    network: str | None,
    node: str | None,
    direction: Direction | None,
    before: Any,
    after: Any,
) -> Change:
    """A change without its number, which the resolver gives once all are in order."""
    return Change(-1, at_us / 1e6, action, network, node, direction, before, after)


def _lists(groups: Groups) -> list[list[str]]:
    return [list(group) for group in groups]


def _place(key: HopKey) -> str:
    network, node, direction = key
    return f"{node}@{network} {direction}" if node else f"{network} {direction}"


def _what(name: str, key: HopKey) -> str:
    return f"{name} of {_place(key)}"
