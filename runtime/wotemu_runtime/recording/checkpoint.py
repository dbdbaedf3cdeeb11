"""How far a run is recorded: what of the event bus is in its directory, and how long each file was then.

A coordinator that takes over truncates the files to these lengths and reads the bus from these positions on:
what the one before it wrote later comes again, and nothing is twice or missing. The bus is trimmed only up to
a checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from wotemu.errors import InputError

FILE = "checkpoint.json"
GROWING = ("events.jsonl", "logs/*.log", "logs/*.times", "spool/*.msgpack")
"""The files that a recorder appends to, as patterns from the run directory."""


@attrs.frozen(kw_only=True)
class Checkpoint:
    """A moment of a recording.

    `positions` has the id of the last recorded entry of each stream, and `sizes` the bytes of each file.
    `taken` counts the rows of each table that came over the bus, `counts` all that were stored.
    """

    run: str
    """The run's id, which differs also between runs of one name."""
    positions: Mapping[str, str] = attrs.field(factory=dict)
    taken: Mapping[str, int] = attrs.field(factory=dict)
    counts: Mapping[str, int] = attrs.field(factory=dict)
    sizes: Mapping[str, int] = attrs.field(factory=dict)

    def save(self, run_dir: Path) -> None:
        """Write it whole or not at all; the files that it describes have to be flushed before."""
        temporary = (run_dir / FILE).with_suffix(".tmp")
        temporary.write_bytes(self.to_json())
        temporary.replace(run_dir / FILE)

    def to_json(self) -> bytes:
        """The content of its file."""
        return json.dumps(attrs.asdict(self)).encode()

    @classmethod
    def load(cls, run_dir: Path) -> Self | None:
        """The last checkpoint of a run directory; None where it has none.

        Raises:
            InputError: it can't be read.
        """
        path = run_dir / FILE
        try:
            return cls.from_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"can't be read: {error}", where=str(path)) from error

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The checkpoint in a file's content.

        Raises:
            ValueError, TypeError: it is none.
        """
        data: dict[str, Any] = json.loads(text)
        return cls(**data)

    def cut(self, run_dir: Path) -> list[str]:
        """Truncate the run's growing files to their sizes at the checkpoint; remove those that came later.

        Returns:
            The names of files that are shorter than they were: not the process but its machine died.
        """
        there = {path.relative_to(run_dir).as_posix() for each in GROWING for path in run_dir.glob(each)}
        for name in there - self.sizes.keys():
            (run_dir / name).unlink()
        short = [name for name in self.sizes if name not in there]
        for name in there & self.sizes.keys():
            with (run_dir / name).open("r+b") as file:
                if file.seek(0, 2) < self.sizes[name]:
                    short.append(name)
                else:
                    file.truncate(self.sizes[name])
        return sorted(short)
