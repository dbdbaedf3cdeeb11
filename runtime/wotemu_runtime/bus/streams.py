"""The names of an emulation's keys on its bus."""

from __future__ import annotations

import attrs

from wotemu.records import TABLES, Event


@attrs.frozen
class Streams:
    """The streams of the emulation called `stack`."""

    stack: str

    @property
    def events(self) -> str:
        """What happened: one record an entry."""
        return f"wotemu:{self.stack}:events"

    @property
    def commands(self) -> str:
        """What the coordinator wants of all roles."""
        return f"wotemu:{self.stack}:commands"

    @property
    def members(self) -> str:
        """Where each role is, on engines that hand out addresses as they like."""
        return f"wotemu:{self.stack}:members"

    @property
    def gateways(self) -> str:
        """The networks whose gateways are in `members`, one an entry: nodes have nothing to read before."""
        return f"wotemu:{self.stack}:gateways"

    @property
    def limits(self) -> str:
        """The limits of the nodes on each machine, on engines whose machines differ."""
        return f"wotemu:{self.stack}:limits"

    @property
    def card(self) -> str:
        """What a coordinator that takes over has to know of the run, as JSON."""
        return f"wotemu:{self.stack}:card"

    @property
    def code(self) -> str:
        """The deployment's folder as one bundle, for who takes over; not there where it is too large."""
        return f"wotemu:{self.stack}:code"

    @property
    def lease(self) -> str:
        """Who coordinates; it expires unless it is renewed."""
        return f"wotemu:{self.stack}:lease"

    @property
    def forgotten(self) -> str:
        """A hash: how many rows of each table are trimmed, because they are recorded."""
        return f"wotemu:{self.stack}:forgotten"

    def host(self, name: str) -> str:
        """The key that the role holds which reports the load of the machine called `name`."""
        return f"wotemu:{self.stack}:host:{name}"

    @property
    def control(self) -> str:
        """Connections that clients open to control the run."""
        return f"wotemu:{self.stack}:control"

    def to_run(self, number: str) -> str:
        """What a client sends on a connection."""
        return f"wotemu:{self.stack}:control:{number}:requests"

    def to_client(self, number: str) -> str:
        """What the run answers on a connection."""
        return f"wotemu:{self.stack}:control:{number}:replies"

    def command_input(self, number: str) -> str:
        """What a command in a node gets: input, signals, and how much more it may print."""
        return f"wotemu:{self.stack}:exec:{number}:in"

    def command_output(self, number: str) -> str:
        """What a command in a node prints, and its end."""
        return f"wotemu:{self.stack}:exec:{number}:out"

    def to_ports(self, replica: str) -> str:
        """What connections to a node's published ports bring into it; see `publishing.multiplexer`."""
        return f"wotemu:{self.stack}:ports:{replica}:in"

    def from_ports(self, replica: str) -> str:
        """What they bring out of it."""
        return f"wotemu:{self.stack}:ports:{replica}:out"

    def metrics(self, table: str) -> str:
        """Batches of one table's records."""
        return f"wotemu:{self.stack}:metrics:{table}"

    def all_records(self) -> dict[str, str]:
        """Every stream that the recorder reads, with its table."""
        return {
            self.events: Event.TABLE,
            **{self.metrics(table): table for table in TABLES if table != Event.TABLE},
        }
