"""Which shaper a plan gets, and what it asks for that a shaper can't do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wotemu.errors import HostError
from wotemu.scenario.timeline import Change
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.netem.options import unsupported
from wotemu_runtime.planning.models import Plan

NETEM_MODULES = (
    "sch_netem sch_htb sch_tbf sch_ingress cls_flower cls_matchall act_mirred act_skbedit ifb veth"
)


_SLOW_BPS = 1e6
"""At a lower rate a full packet is on the line for more than 12 ms."""

_LATE_RAISE = "a rate below 1 Mbit/s that more than doubles (NetEm raises it a packet late)"


def beyond_netem(plan: Plan) -> list[str]:
    """What NetEm can't do of what the topology or the scenario ask for: a sentence each, with its target."""
    found = [
        f"{where}: {what}" for where, conditions in _conditions(plan) for what in unsupported(conditions)
    ]
    return list(dict.fromkeys([*found, *late_raises(plan.timeline.changes)]))


def late_raises(changes: Iterable[Change]) -> Iterator[str]:
    """Where a low rate rises too much for NetEm: the packet on the line keeps its time at the old rate.

    What waits behind it loses that time at the new rate: half a second after 24 kbit/s.
    """
    held: dict[tuple[str | None, str | None, str | None], float] = {}
    for change in changes:
        if change.action != "conditions":
            continue
        hop = (change.network, change.node, change.direction)
        before, after = change.before.get("rate_bps"), change.after.get("rate_bps")
        slow = before or held.get(hop)
        if before is None and hop in held:
            del held[hop]
        elif before:
            held[hop] = before
        if slow and before is not None and slow < _SLOW_BPS and (after is None or after > 2 * slow):
            yield f"{change.target}: {_LATE_RAISE}"


def narrowed(shaper: str, plan: Plan) -> str:
    """The shaper to ask gateways for: ``auto`` only where NetEm can do all of the plan."""
    return "tun" if shaper == "auto" and beyond_netem(plan) else shaper


def no_netem(missing: str, host: str = "this machine") -> HostError:
    """NetEm was asked for where the kernel lacks it."""
    return HostError(
        f"the kernel of {host} can't: {missing}",
        where="--shaper netem",
        hint=f"use --shaper tun, or load what is missing there: sudo modprobe -a {NETEM_MODULES}",
    )


def _conditions(plan: Plan) -> Iterator[tuple[str, NetworkConditions]]:
    for network in plan.networks:
        for hop in network.hops:
            where = f"{hop['node']}@{network.name}" if hop["node"] else network.name
            yield f"{where} {hop['direction']}", NetworkConditions.from_dict(hop["conditions"])
    for change in plan.timeline.changes:
        if change.action == "conditions":
            yield change.target, NetworkConditions.from_dict(change.after)
