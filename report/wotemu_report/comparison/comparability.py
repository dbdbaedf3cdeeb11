"""Whether runs can be compared: what forbids it, and what to know before one does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from wotemu.scenario.timeline import Timeline
from wotemu_report.recorded.manifest import Manifest

_PARTS = {
    "duration_s": "duration",
    "phases": "phases",
    "conditions_hash": "conditions at T0",
    "changes": "changes",
    "guards": "guards",
}


@attrs.frozen
class RecordedBase:
    """What says whether a run can be compared."""

    run: str
    manifest: Manifest
    timeline: Timeline
    damages: tuple[str, ...] = ()


def obstacles(designs: Mapping[str, Sequence[RecordedBase]]) -> list[str]:
    """Why runs can't be compared, a sentence each; none where they can.

    Runs of designs may have other seeds, as long as these change nothing but the random choices within the
    networks: timelines with the same seed must be the same, and where designs have no seed in common, they
    must be the same but for it.
    """
    runs = [run for each in designs.values() for run in each]
    found = [f"{run.run} never reached T0" for run in runs if run.manifest.t0 is None]
    found += [
        f"{run.run} is INVALID: {run.manifest.certificate.reasons[0].text}"
        for run in runs
        if run.manifest.certificate is not None
        and run.manifest.certificate.verdict == "INVALID"
        and run.manifest.certificate.reasons
    ]
    (baseline, first), *others = designs.items()
    for name, each in others:
        if parts := _other_parts(first, each):
            found.append(f"{name} has another timeline than {baseline}: its {' and '.join(parts)} differ")
    return found


def cautions(designs: Mapping[str, Sequence[RecordedBase]]) -> list[str]:
    """What to know of the runs before their figures are believed, a sentence each."""
    found = []
    for run in (run for each in designs.values() for run in each):
        found += [f"{run.run}: {damage}" for damage in run.damages]
        certificate = run.manifest.certificate
        if certificate is None:
            found.append(f"{run.run} has no certificate")
        elif certificate.verdict != "VALID":
            found.append(f"{run.run} is {certificate.verdict}")
        if run.manifest.status != "done":
            found.append(f"{run.run} was {run.manifest.status}")
    hosts = {str(run.manifest.host.get("name") or "") for each in designs.values() for run in each}
    if len(hosts) > 1:
        found.append(f"they ran on several machines: {', '.join(sorted(hosts))}")
    return found


def _other_parts(first: Sequence[RecordedBase], other: Sequence[RecordedBase]) -> list[str]:
    seeds = {run.timeline.seed: run for run in first}
    pairs = [(seeds[run.timeline.seed], run) for run in other if run.timeline.seed in seeds]
    for one, two in pairs or [(first[0], other[0])]:
        if one.manifest.timeline_hash and one.manifest.timeline_hash == two.manifest.timeline_hash:
            continue
        if parts := [text for field, text in _PARTS.items() if _of(one, field) != _of(two, field)]:
            return parts
    return []


def _of(run: RecordedBase, field: str) -> object:
    return getattr(run.timeline, field)
