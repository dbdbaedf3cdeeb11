"""The top of the page: the run's name and facts, how it ended, and notices to read before the figures."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import attrs

from wotemu.fidelity import Certificate
from wotemu_report.formats import VERDICT_TONES, availability_tone, instant, moment, seconds, size
from wotemu_report.objectives.evaluate import evaluate
from wotemu_report.objectives.outcome import TONES
from wotemu_report.page.what_happened import broken_sentences, unanswered_sentences, worst_sentences
from wotemu_report.queries.availability import lowest_availability
from wotemu_report.recorded.manifest import RUNNING, Manifest
from wotemu_report.recorded.run_data import RunData

_ENDINGS = {
    "done": ("good", "Done"),
    "interrupted": ("warn", "Interrupted"),
    "failed": ("bad", "Failed"),
    RUNNING: ("good", "Running"),
}
MAX_OBJECTIVES = 8
"""More objectives than these are in their section alone."""


@attrs.frozen
class Notice:
    """Sentences to read first, at the top; `tone` is bad, warn or good."""

    tone: str
    title: str
    lines: tuple[str, ...]


@attrs.frozen
class Head:
    """The page's header."""

    name: str
    tone: str
    verdict: str
    facts: tuple[tuple[str, str], ...]
    command: str
    notices: tuple[Notice, ...]


def head(run: RunData) -> Head:
    """The header of `run`'s page."""
    tone, ending = _ENDINGS.get(run.manifest.status, ("warn", run.manifest.status or "Status unknown"))
    return Head(
        name=run_name(run),
        tone=tone,
        verdict=f"{ending} {_duration(run)}",
        facts=tuple((label, value) for label, value in _facts(run) if value),
        command=shlex.join(run.manifest.command),
        notices=tuple(notice for notice in _notices(run) if notice.lines),
    )


def run_name(run: RunData) -> str:
    """The name of the run."""
    return run.manifest.name or run.run_dir.name


def _duration(run: RunData) -> str:
    manifest = run.manifest
    if manifest.t0 is None:
        return "before T0"
    if manifest.status == RUNNING:
        return f"for {seconds(run.axis.end_s)}"
    if manifest.status == "done" or manifest.ended is None:
        return f"after {seconds(run.axis.end_s)}"
    planned = f" of {seconds(manifest.duration_s)}" if manifest.duration_s else ""
    return f"after {seconds(run.axis.end_s)}{planned}"


def _facts(run: RunData) -> list[tuple[str, str]]:
    manifest = run.manifest
    ready = instant(manifest.t0 - manifest.started) if manifest.t0 and manifest.started else ""
    return [
        ("Started", moment(manifest.started)),
        ("Ready after", ready),
        ("Source", manifest.source),
        ("Engine", manifest.engine),
        ("Shaper", manifest.shaper),
        ("Gateways' scheduling", manifest.scheduling),
        ("Seed", "" if manifest.seed is None else str(manifest.seed)),
        ("Timeline", manifest.timeline_hash[:12]),
        ("Machine", _machine(run)),
        ("Devices", "; ".join(manifest.devices)),
        ("Kernel", manifest.kernel),
        ("Software", _software(manifest)),
    ]


def _software(manifest: Manifest) -> str:
    parts = {"WoTemu": manifest.wotemu_version, "Python": manifest.python}
    return ", ".join(f"{name} {version}" for name, version in parts.items() if version)


def _machine(run: RunData) -> str:
    host = run.manifest.host
    parts = [str(host.get("name") or ""), f"{host['cpus']} CPUs" if host.get("cpus") else ""]
    parts.append(size(host["mem_bytes"]) if host.get("mem_bytes") else "")
    return ", ".join(part for part in parts if part)


def _fidelity(manifest: Manifest) -> list[Notice]:
    certificate = manifest.certificate
    if certificate is None:
        return []
    tone = VERDICT_TONES.get(certificate.verdict, "plain")
    return [Notice(tone, f"Fidelity: {certificate.verdict}", _reasons(certificate))]


def _reasons(certificate: Certificate) -> tuple[str, ...]:
    """The worst reason of each kind, or that there is none."""
    if not certificate.reasons:
        return ("Probes, changes and departures did what the scenario says, on time.",)
    by_kind: dict[tuple[str, str], list[str]] = {}
    for reason in certificate.reasons:
        by_kind.setdefault((reason.verdict, reason.what), []).append(reason.text)
    return tuple(texts[0] + _more_places(len(texts) - 1) for texts in by_kind.values())


def _more_places(count: int) -> str:
    places = {0: "", 1: "; likewise in one more place"}
    return places.get(count, f"; likewise in {count} more places")


def _happened(run: RunData) -> list[Notice]:
    """What broke, and what the nodes went through, coloured by the lowest availability."""
    lowest = lowest_availability(run)
    tone = availability_tone(lowest["availability"].item()) if lowest.height else "good"
    return [
        Notice(tone, "What the nodes went through", tuple(worst_sentences(run))),
        Notice("warn", "What broke, and when it was well again", tuple(broken_sentences(run))),
    ]


def _objectives(run: RunData) -> list[Notice]:
    """How many objectives hold, and the figure of each; those that did not pass first."""
    outcomes = evaluate(run)
    if not outcomes.each:
        return []
    worst_first = outcomes.worst_first
    lines = [outcome.sentence for outcome in worst_first[:MAX_OBJECTIVES]]
    if (more := len(outcomes) - MAX_OBJECTIVES) > 0:
        lines.append(f"and {more} more, see Objectives")
    return [Notice(TONES[worst_first[0].state], outcomes.summary, (*outcomes.cautions, *lines))]


def _ways_out(run: RunData) -> Iterator[str]:
    """A sentence for each uplink: what is reached through it is no part of the emulation."""
    for uplink in run.topology.get("uplinks") or ():
        networks = " and ".join(str(each["network"]) for each in uplink["networks"])
        yield (
            f"Nodes on {networks} had a way out to the network of the machine that ran it, through"
            f" {uplink['name']}: what answered there is no part of the emulation."
        )


def _notices(run: RunData) -> list[Notice]:
    manifest = run.manifest
    is_running = manifest.status == RUNNING
    no_t0 = (
        f"T0 {'is not reached yet' if is_running else 'was never reached'}: times are since the run's start."
    )
    return [
        *_objectives(run),
        Notice("bad", "Never answered", tuple(unanswered_sentences(run))),
        *_happened(run),
        *_fidelity(manifest),
        Notice("bad", "Error", (manifest.error,) if manifest.error else ()),
        Notice("warn", "This emulation had a way out", tuple(_ways_out(run))),
        Notice("warn", "No T0", (no_t0,) if manifest.t0 is None else ()),
        Notice("warn", "Limits that this machine did not enforce", manifest.unenforced),
        Notice("warn", "Warnings", manifest.warnings),
        Notice(
            "warn",
            "Not all is recorded yet" if is_running else "The run directory is incomplete",
            run.gaps,
        ),
    ]
