"""What a deployment does not take over from a compose file, and why."""

from __future__ import annotations

import attrs

from wotemu.errors import Place
from wotemu.forms.document import Item

REASONS = {
    "ports": "nodes reach each other on every port, and none is published on this machine",
    "expose": "nodes reach each other on every port",
    "volumes": "programs run in the deployment's folder: put their files there",
    "tmpfs": "programs use the folders of this machine",
    "build": "images are not built: the command runs as it is on the local engine",
    "healthcheck": "there are no health checks: an objective of the scenario can watch a metric",
    "secrets": "there is no store of secrets: give a file's path or an environment variable",
    "configs": "there is no store of configurations: put the file into the deployment's folder",
    "depends_on": "all nodes start together: a program retries until what it needs answers",
    "links": "nodes on one network find each other by name",
    "restart": "a scenario says what crashes and restarts: crash(NODE), restart(NODE)",
    "env_file": "it is not read: write its variables into env",
    "extends": "the other service is not read: write what it has here",
    "include": "other files are not read",
    "profiles": "it is a node whatever the profile: delete what does not belong to the study",
    "container_name": "its host name is the node's name",
    "hostname": "its host name is the node's name",
    "working_dir": "programs run in the deployment's folder",
    "user": "programs run as the engine runs them",
    "privileged": "programs have the rights that the engine gives them",
    "cap_add": "programs have the rights that the engine gives them",
    "logging": "output of nodes is in the run directory",
    "placement": "write Placement(...) for the machines of a swarm",
    "restart_policy": "a scenario says what crashes and restarts: crash(NODE), restart(NODE)",
    "aliases": "a node has one name",
    "ipv4_address": "addresses are assigned by the engine",
    "ipv6_address": "addresses are assigned by the engine",
    "external": "no network outside the emulation is joined",
    "driver": "networks are emulated: give them conditions",
    "ipam": "addresses are assigned by the engine",
}
OTHERS = "a deployment has nothing like it"
SILENT = frozenset({"version", "name"})
"""Entries of a compose file that change nothing."""


@attrs.frozen
class LeftOut:
    """One thing that is not in the deployment, or not as it was.

    Attributes:
        place: Where it is: ``compose.yml:7:5, services.web.ports``.
        reason: Why, and what to do instead.
    """

    place: Place
    reason: str


def by_line(one: LeftOut) -> tuple[int, int]:
    """The line and column of its place, to sort by."""
    return one.place.line, one.place.column or 0


@attrs.frozen
class LeftOuts:
    """Collects what is left out."""

    found: list[LeftOut] = attrs.field(factory=list)

    def add(self, place: Place, reason: str) -> None:
        """Add one; the same place and reason, as aliases give them, only once."""
        one = LeftOut(place, reason)
        if one not in self.found:
            self.found.append(one)

    def rest_of(self, item: Item, used: frozenset[str]) -> None:
        """Add each entry of a mapping that is not used; extensions (``x-...``) mean nothing by themselves."""
        for key in item.value:
            if key not in used and not key.startswith("x-"):
                self.add(item.place_of(key), REASONS.get(key, OTHERS))
