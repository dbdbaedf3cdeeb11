"""The top of the page: what ran, how it ended, and what its reader must know before the figures."""

from __future__ import annotations

import shlex

import attrs

from wotemu_report.formats import instant, moment, seconds, size
from wotemu_report.queries import availability
from wotemu_report.queries.availability import in_vain
from wotemu_report.recorded.dataset import RunData
from wotemu_report.recorded.manifest import Manifest

_ENDINGS = {
    "done": ("good", "Done"),
    "interrupted": ("warn", "Interrupted"),
    "failed": ("bad", "Failed"),
}


@attrs.frozen
class Notice:
    """Something to know first, at the top; `tone` is bad, warn or good."""

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
        name=run.manifest.name or run.run_dir.name,
        tone=tone,
        verdict=f"{ending} {_how_long(run)}",
        facts=tuple((label, value) for label, value in _facts(run) if value),
        command=shlex.join(run.manifest.command),
        notices=tuple(notice for notice in _notices(run) if notice.lines),
    )


def _how_long(run: RunData) -> str:
    manifest = run.manifest
    if manifest.t0 is None:
        return "before T0"
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
        ("Seed", "" if manifest.seed is None else str(manifest.seed)),
        ("Timeline", manifest.timeline_hash[:12]),
        ("Machine", _machine(run)),
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
    return [Notice(certificate.tone, f"Fidelity: {certificate.verdict}", certificate.lines)]


def _how_it_went(run: RunData) -> list[Notice]:
    """Each phase in a sentence."""
    worst = availability.worst(run)
    tone = "good" if worst is None or worst == 1 else "warn" if worst > 0.5 else "bad"
    return [Notice(tone, "How it went", tuple(availability.sentences(run)))]


def _notices(run: RunData) -> list[Notice]:
    manifest = run.manifest
    early = () if manifest.t0 is not None else ("T0 was never reached: times are since the run's start.",)
    return [
        Notice("bad", "Waited in vain", tuple(in_vain(run))),
        *_how_it_went(run),
        *_fidelity(manifest),
        Notice("bad", "What failed", (manifest.error,) if manifest.error else ()),
        Notice("warn", "No T0", early),
        Notice("warn", "Limits that this machine did not enforce", manifest.unenforced),
        Notice("warn", "Warnings", manifest.warnings),
        Notice("warn", "The run directory is incomplete", run.damages),
    ]
