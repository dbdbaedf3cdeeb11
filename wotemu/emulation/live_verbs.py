"""The words with which a run is changed while it goes on: those of a scenario, to be awaited."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Unpack

from wotemu.scenario.blocks import Heading, Protocol
from wotemu.scenario.timeline import Direction
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget
from wotemu.topology.condition_types import ConditionValues
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.link_conditions import LinkConditions
from wotemu.topology.network import Network
from wotemu.units import QuantityLike
from wotemu_runtime.control.live_changes import (
    Block,
    Connect,
    Crash,
    Cut,
    Disconnect,
    FillDisk,
    FreeDisk,
    Heal,
    Limit,
    LiveChange,
    Partition,
    Pause,
    Reconnect,
    Restart,
    Restore,
    Resume,
    SetConditions,
    SkewClock,
    Start,
    Stop,
    Stress,
    Unlimit,
    Unstress,
    parse_for,
)
from wotemu_runtime.control.requests import Changed


class LiveVerbs(ABC):
    """Methods that change a run. Each returns once the change has taken hold on every hop."""

    async def set(
        self,
        target: HopTarget,
        preset: NetworkConditions | LinkConditions | None = None,
        direction: Direction | None = None,
        *,
        lasting: QuantityLike | None = None,
        **conditions: Unpack[ConditionValues],
    ) -> Changed:
        """Set conditions now: ``await emulation.set(link, latency="300ms")``. It returns once they hold.

        Args:
            target: A Network, Link or Node, a name such as ``"reader@field"``, a tag, or several of them.
            preset: All conditions at once, such as ``NetworkConditions.LTE``, or those of each way, such as
                ``LinkConditions.NB_IOT``.
            direction: ``"up"``, ``"down"``, or None for both.
            lasting: How long they hold; None for good.
            conditions: Conditions by name.

        Returns:
            When it was due, how many changes it made, and how late they took hold.

        Raises:
            ScenarioError: It is not possible; then nothing is changed.
            NotRunningError: The scenario has not begun, or is over.
            EmulationError: It could not be applied.
        """
        targets, for_s = self._names(target, "set"), parse_for(lasting, "lasting")
        given: Any = conditions
        return await self._change(SetConditions.of(targets, preset, direction, for_s, **given))

    async def restore(self, target: HopTarget, direction: Direction | None = None) -> Changed:
        """Put the topology's own conditions back. Otherwise as `set`."""
        return await self._change(Restore(targets=self._names(target, "restore"), direction=direction))

    async def cut(self, target: HopTarget, *, lasting: QuantityLike | None = None) -> Changed:
        """Cut off a network, a node, a link or a replica. Otherwise as `set`."""
        return await self._change(
            Cut(targets=self._names(target, "cut"), for_s=parse_for(lasting, "lasting"))
        )

    async def reconnect(self, target: HopTarget) -> Changed:
        """Undo `cut`. Otherwise as `set`."""
        return await self._change(Reconnect(targets=self._names(target, "reconnect")))

    async def partition(
        self, *groups: NodeTarget, name: str | None = None, lasting: QuantityLike | None = None
    ) -> Changed:
        """Separate groups of nodes from each other; a single group from all others. Otherwise as `set`.

        Args:
            groups: Nodes or names, each group a list of them.
            name: A name for `heal`.
            lasting: How long it holds; None until `heal`.
        """
        names = [self._names(group, "partition") for group in groups]
        return await self._change(Partition(groups=names, name=name, for_s=parse_for(lasting, "lasting")))

    async def block(
        self,
        nodes: NodeTarget,
        others: NodeTarget | None = None,
        *,
        port: int | None = None,
        protocol: Protocol | None = None,
        direction: Heading | None = None,
        name: str | None = None,
        lasting: QuantityLike | None = None,
    ) -> Changed:
        """Drop packets between nodes, all or those of a protocol or port. Otherwise as `set`.

        Args:
            nodes: Nodes or names on one side.
            others: Those on the other side; None for all others.
            port: Of either end; None for all.
            protocol: ``"tcp"``, ``"udp"``, ``"icmp"``, or None for all.
            direction: ``"out"``: from `nodes` to `others`; ``"in"``: to them; None for both.
            name: A name for `heal`.
            lasting: How long it holds; None until `heal`.
        """
        sides = self._names(nodes, "block"), () if others is None else self._names(others, "block")
        return await self._change(
            Block(
                targets=sides[0],
                others=sides[1],
                port=port,
                protocol=protocol,
                direction=direction,
                name=name,
                for_s=parse_for(lasting, "lasting"),
            )
        )

    async def heal(self, name: str | None = None) -> Changed:
        """End a partition or block by its name, or all not begun for a period. Otherwise as `set`."""
        return await self._change(Heal(name=name))

    async def crash(self, node: NodeTarget, *, lasting: QuantityLike | None = None) -> Changed:
        """Cut off a node's network, then kill its app, as a power failure does. Otherwise as `set`.

        Args:
            node: A Node or Broker, its name or that of one replica, a tag, or several of them.
            lasting: After how long it is restarted; None for never.
        """
        for_s = parse_for(lasting, "lasting")
        return await self._change(Crash(targets=self._names(node, "crash"), for_s=for_s))

    async def stop(self, node: NodeTarget, *, lasting: QuantityLike | None = None) -> Changed:
        """Ask a node's app to end (SIGTERM); its network stays. Otherwise as `crash`."""
        return await self._change(
            Stop(targets=self._names(node, "stop"), for_s=parse_for(lasting, "lasting"))
        )

    async def limit(
        self,
        node: NodeTarget,
        *,
        cpu: float | None = None,
        memory: QuantityLike | None = None,
        lasting: QuantityLike | None = None,
    ) -> Changed:
        """Limit the CPU time or memory of a node. Otherwise as `crash`.

        Args:
            node: What `crash` takes.
            cpu: Cores, such as 0.25; None leaves it.
            memory: Bytes, such as ``"64M"``; None leaves it.
            lasting: After how long it is put back; None until `unlimit`.
        """
        targets, for_s = self._names(node, "limit"), parse_for(lasting, "lasting")
        return await self._change(Limit(targets=targets, cpu=cpu, memory=_size(memory), for_s=for_s))

    async def unlimit(self, node: NodeTarget) -> Changed:
        """Undo `limit`. Otherwise as `crash`."""
        return await self._change(Unlimit(targets=self._names(node, "unlimit")))

    async def stress(
        self,
        node: NodeTarget,
        *,
        cpu: float | None = None,
        memory: QuantityLike | None = None,
        lasting: QuantityLike | None = None,
    ) -> Changed:
        """Run a program beside a node's app that computes and holds memory. Otherwise as `crash`.

        Args:
            node: What `crash` takes.
            cpu: Cores that it uses, such as 0.5; None is none.
            memory: Bytes that it holds, such as ``"64M"``; None is none.
            lasting: After how long it ends; None until `unstress`.
        """
        targets, for_s = self._names(node, "stress"), parse_for(lasting, "lasting")
        return await self._change(Stress(targets=targets, cpu=cpu, memory=_size(memory), for_s=for_s))

    async def unstress(self, node: NodeTarget) -> Changed:
        """Undo `stress`. Otherwise as `crash`."""
        return await self._change(Unstress(targets=self._names(node, "unstress")))

    async def fill_disk(
        self, node: NodeTarget, *, leave: QuantityLike = 0, lasting: QuantityLike | None = None
    ) -> Changed:
        """Leave a node's scratch folder hardly any room. Otherwise as `crash`.

        Args:
            node: What `crash` takes.
            leave: Bytes that are left free, such as ``"1M"``.
            lasting: After how long it has its room again; None until `free_disk`.
        """
        targets, for_s = self._names(node, "fill_disk"), parse_for(lasting, "lasting")
        return await self._change(FillDisk(targets=targets, leave=_size(leave) or 0, for_s=for_s))

    async def free_disk(self, node: NodeTarget) -> Changed:
        """Undo `fill_disk`. Otherwise as `crash`."""
        return await self._change(FreeDisk(targets=self._names(node, "free_disk")))

    async def skew_clock(
        self, node: NodeTarget, *, by: QuantityLike, lasting: QuantityLike | None = None
    ) -> Changed:
        """Set a node's wall clock wrong, where the scenario does so, too. Otherwise as `crash`.

        Args:
            node: What `crash` takes.
            by: How far it is ahead, such as ``"+3m"``, or behind: ``"-2h"``; 0 sets it right.
            lasting: After how long it is right again; None until the next `skew_clock`.
        """
        targets, for_s = self._names(node, "skew_clock"), parse_for(lasting, "lasting")
        written = by if isinstance(by, str | int | float) else by.total_seconds()
        return await self._change(SkewClock(targets=targets, by=written, for_s=for_s))

    async def disconnect(
        self,
        node: NodeTarget,
        network: Network | str | None = None,
        *,
        lasting: QuantityLike | None = None,
    ) -> Changed:
        """Unplug a node from a network: its interface has no carrier. Otherwise as `crash`.

        Args:
            node: What `crash` takes.
            network: One of its networks; None for all.
            lasting: After how long it is plugged in again; None until `connect`.
        """
        for_s, targets = parse_for(lasting, "lasting"), self._names(node, "disconnect")
        return await self._change(Disconnect(targets=targets, network=_name_of(network), for_s=for_s))

    async def connect(self, node: NodeTarget, network: Network | str | None = None) -> Changed:
        """Undo `disconnect`. Otherwise as `crash`."""
        targets = self._names(node, "connect")
        return await self._change(Connect(targets=targets, network=_name_of(network)))

    async def pause(self, node: NodeTarget, *, lasting: QuantityLike | None = None) -> Changed:
        """Suspend all processes of a node; its network stays. Otherwise as `crash`.

        Args:
            node: What `crash` takes.
            lasting: After how long it is resumed; None until `resume`.
        """
        for_s = parse_for(lasting, "lasting")
        return await self._change(Pause(targets=self._names(node, "pause"), for_s=for_s))

    async def resume(self, node: NodeTarget) -> Changed:
        """Undo `pause`. Otherwise as `crash`."""
        return await self._change(Resume(targets=self._names(node, "resume")))

    async def start(self, node: NodeTarget) -> Changed:
        """Start the app of a node that was stopped or has crashed. Otherwise as `crash`."""
        return await self._change(Start(targets=self._names(node, "start")))

    async def restart(self, node: NodeTarget) -> Changed:
        """Start a node's app again, with its network, whatever it does now. Otherwise as `crash`."""
        return await self._change(Restart(targets=self._names(node, "restart")))

    @abstractmethod
    def _names(self, target: HopTarget | NodeTarget, where: str) -> tuple[str, ...]:
        """A target as names."""

    @abstractmethod
    async def _change(self, change: LiveChange) -> Changed:
        """Make a change, and wait for its answers."""


def _size(value: QuantityLike | None) -> str | int | None:
    """A size as JSON holds it."""
    return value if isinstance(value, str | int | None) else str(value)


def _name_of(network: Network | str | None) -> str | None:
    return network.name if isinstance(network, Network) else network
