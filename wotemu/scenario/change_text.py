"""Changes of a timeline in words, once for the plan, the events of a run, its view and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Change
from wotemu.topology.conditions import json_differences
from wotemu.units import Bytes, Seconds

Difference = tuple[str, str, str]
"""The property that a change sets, its value before, and its value after."""

_APP_STATES = {"crashed": "killed", "running": "started again", "stopped": "stopped"}


def describe_change(change: Change) -> str:
    """What a change does, in a few words: ``field up: latency 20ms → 100ms``."""
    match change.action:
        case "conditions":
            changed = [f"{name} {before} → {after}" for name, before, after in differences(change)]
            return f"{change.target}: {', '.join(changed) or 'as before'}"
        case "partition":
            return f"{change.network}: {f'cut {groups_text(change.after)}' if change.after else 'healed'}"
        case "block":
            return (
                f"{change.network}: {f'blocked {blocks_text(change.after)}' if change.after else 'unblocked'}"
            )
        case "cut":
            return f"{change.node} {'cut off from' if change.after else 'back on'} {change.network}"
        case "disconnect":
            return f"{change.node} {'unplugged from' if change.after else 'plugged into'} {change.network}"
        case "app":
            return f"{change.node}: {_APP_STATES.get(change.after, str(change.after))}"
        case "limit":
            return f"{change.node}: {_limits_text(change.after)}"
        case "stress":
            return f"{change.node}: {stress_text(change.after)}"
        case "fill_disk":
            return f"{change.node}: {_disk_text(change.after)}"
        case "skew_clock":
            return f"{change.node}: {clock_text(change.after['by_s'])}"
        case "pause":
            return f"{change.node}: {'paused' if change.after else 'resumed'}"


def differences(change: Change) -> list[Difference]:
    """What a change makes different; a change of conditions has a row for each field that differs."""
    match change.action:
        case "conditions":
            return _condition_differences(change.before, change.after)
        case "partition":
            return [("partition", groups_text(change.before), groups_text(change.after))]
        case "block":
            return [("blocked", blocks_text(change.before), blocks_text(change.after))]
        case "cut":
            states = {False: "on", True: "cut off"}
            return [("network", states[change.before], states[change.after])]
        case "disconnect":
            plugs = {False: "plugged in", True: "unplugged"}
            return [("interface", plugs[change.before], plugs[change.after])]
        case "app":
            return [("app", str(change.before), str(change.after))]
        case "limit":
            return [("limits", _limits_text(change.before), _limits_text(change.after))]
        case "stress":
            return [("stress", stress_text(change.before), stress_text(change.after))]
        case "fill_disk":
            return [("disk", _disk_text(change.before), _disk_text(change.after))]
        case "skew_clock":
            return [("clock", clock_text(change.before["by_s"]), clock_text(change.after["by_s"]))]
        case "pause":
            suspended = {False: "run", True: "suspended"}
            return [("processes", suspended[change.before], suspended[change.after])]


def groups_text(groups: Sequence[Sequence[str]]) -> str:
    """The groups of a partition: ``a, b | c``; ``a | all others`` for one group, ``none`` for none."""
    sides = [", ".join(group) for group in groups]
    return " | ".join([*sides, "all others"] if len(sides) == 1 else sides) or "none"


def _limits_text(limits: Mapping[str, Any]) -> str:
    """Limits of a node: ``CPU limited to 0.5 cores, memory to 64MiB``."""
    words = []
    if limits["cpu"] is not None:
        words.append(f"CPU limited to {limits['cpu']:g} cores")
    if limits["mem_bytes"] is not None:
        words.append(f"memory limited to {Bytes(limits['mem_bytes'])}")
    return ", ".join(words) or "limits as at T0"


def stress_text(stress: Mapping[str, Any]) -> str:
    """What a node is stressed by: ``stressed by 0.5 cores, 64MiB of memory``."""
    words = []
    if stress["cpu"] is not None:
        words.append(f"{stress['cpu']:g} cores")
    if stress["mem_bytes"] is not None:
        words.append(f"{Bytes(stress['mem_bytes'])} of memory")
    return f"stressed by {', '.join(words)}" if words else "not stressed"


def _disk_text(fill: Mapping[str, Any]) -> str:
    """How full a node's scratch folder is made: ``scratch folder full, 1MiB left``."""
    leave = fill["leave_bytes"]
    if leave is None:
        return "scratch folder as it was"
    return f"scratch folder full, {Bytes(leave)} left" if leave else "scratch folder full"


def clock_text(by_s: float) -> str:
    """How far off a node's wall clock is: ``wall clock 180s ahead``; ``wall clock right`` at 0."""
    if not by_s:
        return "wall clock right"
    return f"wall clock {Seconds(abs(by_s))} {'ahead' if by_s > 0 else 'behind'}"


def blocks_text(blocks: Sequence[Mapping[str, Any]]) -> str:
    """Blocked traffic: ``reader ↔ mqtt: tcp port 1883``; ``none`` for none."""
    return "; ".join(str(Block.from_dict(each)) for each in blocks) or "none"


def _condition_differences(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    differing = json_differences(before, after)
    return [(name, _limit(name, was), _limit(name, will)) for name, was, will in differing]


def _limit(name: str, text: str) -> str:
    # A rate of "none" reads as if nothing could pass, which is a rate of 0.
    return "unlimited" if name == "rate" and text == "none" else text
