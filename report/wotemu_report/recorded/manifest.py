"""The manifest of a run: how it was made and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from wotemu.errors import InputError
from wotemu.fidelity import Certificate
from wotemu.fidelity.evidence import LossEvidence
from wotemu.records import SCHEMA_VERSION
from wotemu_report.recorded.from_json import from_json

RUNNING = "running"
"""The status of a run that is known to go on; its own manifest says how it would have ended if killed."""


@attrs.frozen
class RecordedReplica:
    """One running copy of a node, broker or service; `addresses` are by network."""

    name: str
    node: str
    kind: str
    app: str
    addresses: Mapping[str, str]


@attrs.frozen
class Manifest:
    """How a run was made and how it ended.

    Attributes:
        started, t0, ended: Epoch seconds; None where the run did not get so far.
        scheduling: The class of the kernel's scheduler that the gateways ran in.
        duration_s: As planned.
        revision: The git `commit` of the source, and whether the file was `changed` since; or nothing.
        unenforced: Limits of resources that the machine did not enforce, a sentence each.
        devices: What made nodes as fast as devices, a sentence each.
        wotpy_fixes: Names of the fixes, by node.
        losses: Records that did not reach the run directory.
        records: How many there are, by table.
    """

    name: str
    status: str
    engine: str
    shaper: str
    scheduling: str
    seed: int | None
    timeline_hash: str
    wotemu_version: str
    python: str
    kernel: str
    host: Mapping[str, Any]
    source: str
    revision: Mapping[str, Any]
    command: tuple[str, ...]
    started: float | None
    t0: float | None
    ended: float | None
    duration_s: float | None
    error: str
    warnings: tuple[str, ...]
    unenforced: tuple[str, ...]
    devices: tuple[str, ...]
    wotpy_fixes: Mapping[str, tuple[str, ...]]
    losses: tuple[LossEvidence, ...]
    certificate: Certificate | None
    records: Mapping[str, int]
    replicas: tuple[RecordedReplica, ...]

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Manifest:
        """Read a manifest; what it lacks is empty.

        Raises:
            InputError: Its schema is newer than this version can read.
            TypeError, ValueError, KeyError: It is damaged.
        """
        if int(raw.get("schema", SCHEMA_VERSION)) > SCHEMA_VERSION:
            raise InputError(
                f"this run was recorded with schema {raw['schema']}, newer than {SCHEMA_VERSION}",
                hint="upgrade WoTemu to the version that recorded it, or a later one",
            )
        replicas = [
            {"name": name, "node": name, "kind": "node", **entry}
            for name, entry in (raw.get("replicas") or {}).items()
        ]
        # An empty certificate is none: runs that ended early have `{}` or null.
        return from_json(cls, {**raw, "replicas": replicas, "certificate": raw.get("certificate") or None})

    def as_of_now(self, *, goes_on: bool) -> Manifest:
        """The same, with the status `RUNNING` where the run is known to go on and is not over."""
        return attrs.evolve(self, status=RUNNING, error="") if goes_on and self.ended is None else self

    def node_of(self) -> dict[str, str]:
        """The node that each replica is a copy of, by the replica's name."""
        return {replica.name: replica.node for replica in self.replicas}
