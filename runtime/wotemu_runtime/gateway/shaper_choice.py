"""Which shaper can do what a plan needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wotemu.errors import HostError
from wotemu.scenario.timeline import Change
from wotemu.topology.conditions import NetworkConditions
from wotemu_runtime.planning.models import Plan

NETEM_MODULES = (
    "sch_netem sch_htb sch_tbf sch_ingress cls_flower cls_matchall act_mirred act_skbedit ifb veth"
)


_SLOW_BPS = 1e6
"""At a lower rate the transmission of a full packet takes more than 12 ms."""

_LATE_RAISE = "a rate below 1 Mbit/s that more than doubles (NetEm raises it a packet late)"


def netem_gaps(plan: Plan) -> list[str]:
    """What the topology or the scenario need and NetEm can't do: a sentence each, with its target."""
    from wotemu_gateways.netem.options import unsupported  # takes a while, and many runs do without

    found = [
        f"{where}: {what}" for where, conditions in _conditions(plan) for what in unsupported(conditions)
    ]
    return list(dict.fromkeys([*found, *late_raises(plan.timeline.changes)]))


def late_raises(changes: Iterable[Change]) -> Iterator[str]:
    """Find the changes that raise a low rate too much for NetEm: a sentence each, with its target.

    NetEm transmits the packet under way at the old rate to its end. That delays the queue behind it: by half
    a second after 24 kbit/s.
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


def effective_shaper(shaper: str, plan: Plan) -> str:
    """The shaper to request of gateways: ``auto`` becomes ``tun`` where NetEm lacks what the plan needs."""
    return "tun" if shaper == "auto" and netem_gaps(plan) else shaper


def netem_missing(missing: str, host: str = "this machine") -> HostError:
    """The error of a run under NetEm on a kernel that lacks it.

    Args:
        missing: What the kernel lacks.
        host: The machine's name.
    """
    return HostError(
        f"the kernel of {host} can't: {missing}",
        where="--shaper netem",
        hint=f"use --shaper tun, or load what is missing there: sudo modprobe -a {NETEM_MODULES}",
    )


def netem_without_uplinks() -> HostError:
    """The error of a run with an uplink that is to be under NetEm."""
    return HostError(
        "NetEm's gateways forward packets between members alone, so nothing would pass an uplink",
        where="--shaper netem",
        hint="leave it out, or use --shaper tun",
    )


def check_duty_cycles(plan: Plan) -> None:
    """Refuse NetEm for a plan with a duty cycle.

    HTB, which comes nearest, counts whole bytes a second, of which a low rate with a duty cycle has less than
    one. It owes time, not bytes, so that after a raised rate it would wait on as at the lower one. And on a
    shared network it does not know when a node's packet has had its turn.

    Raises:
        HostError: There is one.
    """
    for where, conditions in _conditions(plan):
        if conditions.duty_cycle < 1:
            raise HostError(
                f"{where}: NetEm imposes no duty cycle",
                where="--shaper netem",
                hint="leave it out, or use --shaper tun",
            )


def _conditions(plan: Plan) -> Iterator[tuple[str, NetworkConditions]]:
    for network in plan.networks:
        for hop in network.hops:
            where = f"{hop['node']}@{network.name}" if hop["node"] else network.name
            yield f"{where} {hop['direction']}", NetworkConditions.from_dict(hop["conditions"])
    for change in plan.timeline.changes:
        if change.action == "conditions":
            yield change.target, NetworkConditions.from_dict(change.after)
