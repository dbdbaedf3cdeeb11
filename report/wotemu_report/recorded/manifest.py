"""What a run says about itself: its manifest and its timeline, read from JSON into values."""

from __future__ import annotations

import json
from typing import Any

import attrs

from wotemu.errors import InputError
from wotemu.records import SCHEMA_VERSION
from wotemu_report.recorded.certificate import Certificate

Json = dict[str, Any]


@attrs.frozen
class Replica:
    """One running copy of a node, broker or service, with its address on each network."""

    name: str
    node: str
    kind: str
    app: str
    addresses: dict[str, str]


@attrs.frozen
class Loss:
    """Records that never reached the run directory."""

    source: str
    what: str
    count: int


@attrs.frozen
class Manifest:
    """How a run was made and how it ended. Times are epoch seconds, null where it never came so far."""

    name: str
    status: str
    engine: str
    shaper: str
    seed: int | None
    timeline_hash: str
    wotemu_version: str
    python: str
    kernel: str
    host: Json
    source: str
    command: tuple[str, ...]
    started: float | None
    t0: float | None
    ended: float | None
    duration_s: float | None
    error: str
    warnings: tuple[str, ...]
    unenforced: tuple[str, ...]
    wotpy_fixes: dict[str, list[str]]
    losses: tuple[Loss, ...]
    certificate: Certificate | None
    records: dict[str, int]
    replicas: tuple[Replica, ...]

    @classmethod
    def from_json(cls, raw: Json) -> Manifest:
        """Read a manifest; what it lacks is empty.

        Raises `InputError` where its schema is newer than this version can read.
        """
        if int(raw.get("schema", SCHEMA_VERSION)) > SCHEMA_VERSION:
            raise InputError(
                f"this run was recorded with schema {raw['schema']}, newer than {SCHEMA_VERSION}",
                hint="upgrade WoTemu to the version that recorded it, or a later one",
            )
        return cls(
            **_texts_and_times(raw),
            seed=raw.get("seed"),
            host=dict(raw.get("host") or {}),
            command=_texts(raw.get("command")),
            warnings=_texts(raw.get("warnings")),
            unenforced=_texts(raw.get("unenforced")),
            wotpy_fixes={str(node): list(_texts(names)) for node, names in _items(raw, "wotpy_fixes")},
            losses=tuple(_loss(entry) for entry in raw.get("losses") or ()),
            certificate=Certificate.from_json(raw["certificate"]) if raw.get("certificate") else None,
            records={str(table): int(count) for table, count in _items(raw, "records")},
            replicas=tuple(_replica(str(name), entry) for name, entry in _items(raw, "replicas")),
        )

    def node_of(self) -> dict[str, str]:
        """Replica name -> the node that it is a copy of."""
        return {replica.name: replica.node for replica in self.replicas}


@attrs.frozen
class Phase:
    """A named stretch of the run: from `start_s` after T0 until the next one begins."""

    name: str
    start_s: float


@attrs.frozen
class PlannedChange:
    """One atomic change that the timeline asked for, `at_s` after T0; `before` and `after` are JSON."""

    id: int
    at_s: float
    action: str
    target: str
    before: str
    after: str


@attrs.frozen
class Timeline:
    """The resolved scenario: its phases and changes, in order."""

    phases: tuple[Phase, ...] = ()
    changes: tuple[PlannedChange, ...] = ()

    @classmethod
    def from_json(cls, raw: Json) -> Timeline:
        """Read a timeline; what it lacks is empty."""
        phases = [Phase(str(entry["name"]), float(entry["start_s"])) for entry in raw.get("phases") or ()]
        changes = [_planned(entry) for entry in raw.get("changes") or ()]
        return cls(
            phases=tuple(sorted(phases, key=lambda phase: phase.start_s)),
            changes=tuple(sorted(changes, key=lambda change: (change.at_s, change.id))),
        )


_TEXTS = (
    "name", "status", "engine", "shaper", "timeline_hash", "wotemu_version", "python", "kernel", "source",
    "error",
)  # fmt: skip


def _texts_and_times(raw: Json) -> Json:
    texts = {name: str(raw.get(name) or "") for name in _TEXTS}
    return texts | {name: _number(raw.get(name)) for name in ("started", "t0", "ended", "duration_s")}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(part) for part in value or ())


def _items(raw: Json, key: str) -> list[tuple[Any, Any]]:
    return list((raw.get(key) or {}).items())


def _loss(entry: Json) -> Loss:
    return Loss(str(entry.get("source", "")), str(entry.get("what", "")), int(entry.get("count", 0)))


def _replica(name: str, entry: Json) -> Replica:
    return Replica(
        name=name,
        node=str(entry.get("node") or name),
        kind=str(entry.get("kind") or "node"),
        app=str(entry.get("app") or ""),
        addresses={str(network): str(address) for network, address in _items(entry, "addresses")},
    )


def _planned(entry: Json) -> PlannedChange:
    node, network = entry.get("node"), entry.get("network")
    parts = [f"{node}@{network}" if node and network else node or network, entry.get("direction")]
    return PlannedChange(
        id=int(entry["id"]),
        at_s=float(entry["at_s"]),
        action=str(entry.get("action") or ""),
        target=" ".join(str(part) for part in parts if part),
        before=json.dumps(entry.get("before")),
        after=json.dumps(entry.get("after")),
    )
