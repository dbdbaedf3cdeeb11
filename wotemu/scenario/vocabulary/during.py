"""Effects that last or vary for a while: ``during("10s", "40s").flap(link, down="1s")``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.vocabulary import faults, mobility
from wotemu.scenario.vocabulary.actions import (
    PlannedAction,
    check_step_count,
    number,
    parse_length,
    parse_offset,
    seconds,
    share,
)
from wotemu.scenario.vocabulary.arguments import (
    DurationRange,
    late_waypoints_note,
    parse_duration_range,
)
from wotemu.scenario.vocabulary.node_settings import setting_of_fault
from wotemu.scenario.vocabulary.radio import PathLoss
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget, reusable
from wotemu.scenario.vocabulary.varying import Varying
from wotemu.scenario.vocabulary.written import keeps_calls
from wotemu.topology.network import Network
from wotemu.topology.node import Node
from wotemu.topology.service import Broker
from wotemu.units import QuantityLike


@keeps_calls
@attrs.frozen(repr=False)
class Period(Varying):
    """The time between two moments.

    Its effects lie over what instants set, and over periods that began before it. When it ends, whatever lies
    below holds again, as it is by then. ``keep=True`` sets the last values for good instead, as an instant at
    the end would.
    """

    def flap(
        self,
        target: HopTarget,
        *,
        up: QuantityLike = "10s",
        down: QuantityLike = "1s",
        jitter: float | str = 0,
    ) -> PlannedAction:
        """Cut off a network, link or node again and again, beginning with a cut.

        Args:
            target: What `cut` takes.
            up: How long it is connected each time.
            down: How long it is cut off each time.
            jitter: A share of `up` and `down` by which each time is shorter or longer, drawn uniformly.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("flap")
        lengths_us = parse_length(down, where, "down"), parse_length(up, where, "up")
        check_step_count(2 * (self.end_us - self.start_us) / sum(lengths_us), where)
        flaps = faults.Flap(
            where, reusable(target), self.start_us, self.end_us, lengths_us, share(jitter, "jitter", where)
        )
        return self._action(where, "flap", flaps.target, flaps.steps)

    def churn(
        self,
        nodes: NodeTarget,
        *,
        rate: float | str = "1/min",
        downtime: QuantityLike | DurationRange = "10s",
        fault: faults.Fault = "crash",
        cpu: float | None = None,
        memory: QuantityLike | None = None,
        leave: QuantityLike | None = None,
        by: QuantityLike | None = None,
    ) -> PlannedAction:
        """Have faults befall nodes at random times, crashes for example, and undo each after a while.

        Nodes that are down when the period ends still come back.

        Args:
            nodes: What `crash` takes; each fault is of one replica that runs, drawn uniformly.
            rate: How often one befalls any of the nodes, ``"6/min"`` or a number per second, at independent
                times (a Poisson process).
            downtime: How long each lasts: a duration, or two to draw from uniformly.
            fault: ``"crash"``, ``"pause"``, ``"disconnect"`` from all networks, ``"limit"``, ``"stress"``,
                ``"fill_disk"`` or ``"skew_clock"``: as the verbs do.
            cpu: As `limit` and `stress` take it.
            memory: As `limit` and `stress` take it.
            leave: As `fill_disk` takes it.
            by: As `skew_clock` takes it.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("churn")
        crash_rate = faults.per_second(rate, where)
        if not isinstance(fault, str) or fault not in faults.FAULTS:
            raise ScenarioError(
                f"{fault!r} is no fault",
                where=where,
                field="fault",
                hint=f"known are {', '.join(faults.FAULTS)}",
            )
        setting = setting_of_fault(fault, {"cpu": cpu, "memory": memory, "leave": leave, "by": by}, where)
        check_step_count(crash_rate * (self.end_us - self.start_us) / 1e6, where)
        churn = faults.Churn(
            where,
            reusable(nodes),
            self.start_us,
            self.end_us,
            crash_rate,
            parse_duration_range(downtime, where, "downtime"),
            fault,
            setting,
        )
        return self._action(where, "churn", churn.nodes, churn.steps)

    def move(
        self,
        node: Node | Broker | str,
        path: Sequence[tuple[QuantityLike, Network | str]],
        *,
        gap: QuantityLike = "100ms",
    ) -> PlannedAction:
        """Take a node from network to network: ``path=[("0s", home), ("20s", street)]``.

        The node is cut off from all networks of the path but one. When the period ends it is on all of them
        again, so let the period last as long as the node is on its way.

        Args:
            node: A node that the topology attaches to all networks of the path.
            path: Times after the period's begin, and the network that the node joins then.
            gap: How long the node is on no network at each hand-over.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("move")
        gap_us = parse_offset(gap, where, "gap")
        stops = mobility.stops(path, gap_us, where)
        moves = mobility.Move(where, node, self.start_us, self.end_us, stops, gap_us)
        return self._action(
            where,
            "move",
            node,
            moves.steps,
            late_waypoints_note([t_us + 1 for t_us, _ in stops], self.end_us - self.start_us, where),
        )

    def travel(
        self,
        node: Node | Broker | str,
        path: Sequence[tuple[QuantityLike, tuple[float, float]]],
        *,
        stations: Mapping[Network, tuple[float, float]] | Mapping[str, tuple[float, float]],
        model: PathLoss | None = None,
        every: QuantityLike = "1s",
        gap: QuantityLike = "100ms",
        hysteresis_db: float = 3.0,
    ) -> PlannedAction:
        """Take a node along positions in metres: ``path=[("0s", (0, 0)), ("60s", (300, 0))]``.

        The distance to a station adds delay and loss to the node's link there, and limits its rate, beside
        the link's own conditions; the node is on the network whose signal is strongest. When the period ends,
        its links are as they were, and it is on all networks again.

        Args:
            node: A node that the topology attaches to all networks of the stations.
            path: Times after the period's begin, and positions (x, y) in metres. In between the node moves in
                a straight line; it stays at the last position.
            stations: The position of each network's station.
            model: The loss of signal with distance, and what it does to a link; by default WiFi at 2.4 GHz.
            every: The time between two steps.
            gap: How long the node is on no network at each hand-over.
            hysteresis_db: How much stronger another network's signal must be for a hand-over (3 dB is usual
                for the A3 event of 3GPP TS 36.331).

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("travel")
        if model is not None and not isinstance(model, PathLoss):
            raise ScenarioError(
                f"model={model!r} is no PathLoss", where=where, field="model", hint="PathLoss(exponent=3)"
            )
        route = mobility.route(path, where)
        travel = mobility.Travel(
            where=where,
            node=node,
            start_us=self.start_us,
            end_us=self.end_us,
            times=tuple(self._times(every, where)),
            route=route,
            sites=mobility.sites(stations, where),
            model=model or PathLoss(),
            gap_us=parse_offset(gap, where, "gap"),
            hysteresis_db=number(hysteresis_db, "hysteresis_db", where, most=1000),
        )
        return self._action(
            where,
            "travel",
            node,
            travel.steps,
            late_waypoints_note([t_us for t_us, _ in route], self.end_us - self.start_us, where),
        )


def during(start: QuantityLike, end: QuantityLike) -> Period:
    """The time between two moments.

    Args:
        start: An offset from T0: a number of seconds, or text such as ``"20s"`` or ``"1:30"``.
        end: An offset from T0 after `start`.

    Returns:
        An object whose methods are what can happen meanwhile, such as ``during(10, 20).cut(link)``.

    Raises:
        ScenarioError: A time can't be read, or `end` is not after `start`.
    """
    where = source_location(f"during({start!r}, {end!r})")
    start_us, end_us = parse_offset(start, where), parse_offset(end, where)
    if start_us == end_us:
        raise ScenarioError("it lasts no time", where=where)
    if start_us > end_us:
        raise ScenarioError("it ends before it has begun", where=where)
    return Period(start_us, source_location(f"during({seconds(start_us)}, {seconds(end_us)})"), end_us)
