"""A recorded run as values and lazy tables: ``RecordedRun("runs/quickstart").table("interactions")``."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wotemu.errors import InputError
from wotemu.fidelity import Certificate
from wotemu.records import Event
from wotemu.suggestions import did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from wotemu.scenario.timeline import Timeline
    from wotemu_report.objectives.outcome import Outcomes
    from wotemu_report.recorded.manifest import Manifest

_TIMES = {"changes": "due"}
"""The time of a row, in tables that have no `t`."""
_OWNERS = ("node", "replica")


class RecordedRun:
    """What one run left in its directory, also while it goes on. Files are read when they are asked for.

    Attributes:
        run_dir: The run directory.
        parameters: What `sweep` varied for this run, by name.
    """

    def __init__(self, run_dir: str | Path, parameters: Mapping[str, Any] | None = None) -> None:
        """Open a run directory.

        Args:
            run_dir: The directory.
            parameters: Of the run, for its `table`s to have as columns.

        Raises:
            InputError: It holds no run.
        """
        self.run_dir = Path(run_dir)
        self.parameters = dict(parameters or {})
        if not (self.run_dir / "manifest.json").is_file():
            raise InputError(
                "there is no run here" if self.run_dir.is_dir() else "there is no such directory",
                where=str(self.run_dir),
                hint="name the directory of a run, such as runs/quickstart",
            )

    def __repr__(self) -> str:
        return f"RecordedRun({str(self.run_dir)!r}, {self.status}, {self.verdict})"

    @property
    def manifest(self) -> Manifest:
        """How the run was made and how it ended, as its directory has it by now.

        Raises:
            InputError: The file is damaged, or of a newer version of WoTemu.
        """
        from wotemu_report.recorded.manifest import Manifest

        path = self.run_dir / "manifest.json"
        try:
            manifest = Manifest.from_dict(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"it can't be read: {error}", where=str(path)) from error
        return manifest.as_of_now(goes_on=manifest.ended is None and self.goes_on)

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.manifest.name

    @property
    def status(self) -> str:
        """``running``, ``done``, ``interrupted`` or ``failed``.

        A run that is recorded on another machine is ``failed`` until its end.
        """
        return self.manifest.status

    @property
    def goes_on(self) -> bool:
        """Whether a process of this machine records there."""
        from wotemu_runtime.recording.run_directory import is_being_recorded

        return is_being_recorded(self.run_dir)

    @property
    def error(self) -> str:
        """Why the run failed; "" where it did not."""
        return self.manifest.error

    @property
    def seed(self) -> int | None:
        """Seed of its random number generators."""
        return self.manifest.seed

    @property
    def certificate(self) -> Certificate | None:
        """Whether the emulation did what its scenario says; None where T0 was never reached."""
        return self.manifest.certificate

    @property
    def verdict(self) -> str:
        """The certificate's verdict: VALID, SUSPECT or INVALID; "" without a certificate."""
        certificate = self.certificate
        return certificate.verdict if certificate is not None else ""

    @cached_property
    def timeline(self) -> Timeline:
        """What changed and when, with the guards that fired and the changes made by hand."""
        from wotemu.scenario.timeline import Timeline

        return Timeline.from_dict(json.loads((self.run_dir / "timeline.json").read_bytes()))

    @property
    def objectives(self) -> Outcomes:
        """What became of the objectives of the scenario, by what is recorded by now; empty where it has none.

        `Outcomes.damages` has what of the records could not be read.

        Raises:
            InputError: A file of the run is damaged, or of a newer version of WoTemu.
        """
        from wotemu_report import judge_objectives
        from wotemu_report.objectives.outcome import Outcomes
        from wotemu_runtime.recording.run_directory import tabulate

        if not self.timeline.objectives:
            return Outcomes()
        if (judged := Outcomes.read(self.run_dir)) is not None:
            return judged
        goes_on = self.goes_on
        return judge_objectives(self.run_dir, tabulate(self.run_dir), goes_on=goes_on)

    @property
    def tables(self) -> list[str]:
        """The names of all tables that there can be."""
        from wotemu.records.schemas import SCHEMAS

        return ["events", *SCHEMAS]

    def table(self, name: str) -> pl.LazyFrame:
        """A table, to be queried lazily; see `wotemu.records` for its columns.

        It also has `s` (seconds since T0; null in a run that never began), `phase` (of the scenario, ""
        before T0), the run's `parameters`, and `group` where its rows are of replicas: the node of the
        topology that each is a copy of.

        Args:
            name: Such as ``interactions``, ``flows``, ``system``, ``app``, ``changes`` or ``events``.

        Raises:
            InputError: There is no such table, or its file is damaged.
        """
        if name not in self.tables:
            raise InputError(
                f"there is no table {name!r}", where="table", hint=did_you_mean(name, self.tables)
            )
        frame = self._events_frame() if name == "events" else self._stored(name)
        return self._placed(frame, _TIMES.get(name, "t"))

    def exported(self, name: str) -> pl.LazyFrame:
        """`table` as `wotemu export` writes it: with `group` in every table, "" where a row is of no node.

        Raises:
            InputError: There is no such table, or its file is damaged.
        """
        import polars as pl

        frame = self.table(name)
        return frame if "group" in frame.collect_schema() else frame.with_columns(group=pl.lit(""))

    def _stored(self, name: str) -> pl.LazyFrame:
        """The table's Parquet file where it is written, else what the spool has by now."""
        import polars as pl

        from wotemu.records.schemas import SCHEMAS, conform
        from wotemu_runtime.recording.run_directory import stored_rows

        path = self.run_dir / "tables" / f"{name}.parquet"
        rows = [row for batch in stored_rows(self.run_dir, name) for row in batch]
        if rows:
            return pl.LazyFrame(rows, schema=SCHEMAS[name], orient="row", infer_schema_length=None)
        if not path.is_file():
            return pl.LazyFrame(schema=SCHEMAS[name])
        try:
            frame = pl.scan_parquet(path)
            if frame.collect_schema() == pl.Schema(SCHEMAS[name]):
                return frame
            return conform(pl.read_parquet(path), name).lazy()  # of an earlier version
        except (OSError, pl.exceptions.PolarsError) as error:
            why = str(error).partition("\n")[0]
            raise InputError(
                f"it can't be read: {why}",
                where=str(path),
                hint="the file is damaged; restore it, or run the emulation again",
            ) from error

    def _events_frame(self) -> pl.LazyFrame:
        import polars as pl

        from wotemu_report.recorded.event_log import EVENT_SCHEMA, read_events

        path = self.run_dir / "events.jsonl"
        return read_events(path)[0].lazy() if path.is_file() else pl.LazyFrame(schema=EVENT_SCHEMA)

    def _placed(self, frame: pl.LazyFrame, time: str) -> pl.LazyFrame:
        import polars as pl

        columns = frame.collect_schema().names()
        t0 = self.manifest.t0
        since = pl.lit(None, dtype=pl.Float64) if t0 is None else pl.col(time) - t0
        phase: Any = pl.lit("")
        for each in self.timeline.phases:
            phase = pl.when(pl.col("s") >= each.start_s).then(pl.lit(each.name)).otherwise(phase)
        groups = self.manifest.node_of()
        owner = next((pl.col(each) for each in _OWNERS if each in columns), None)
        if owner is None and "source" in columns:
            owner = pl.col("source").str.strip_prefix("agent:")
        named = {
            name: pl.lit(value if isinstance(value, bool | int | float | str) else str(value))
            for name, value in self.parameters.items()
        }
        placed = frame.with_columns(s=since).with_columns(phase=phase)
        if owner is not None and groups:
            # In batches: `replace_strict` in the query itself would hold the whole table in memory.
            placed = placed.with_columns(
                group=owner.map_batches(
                    lambda names: names.replace_strict(groups, default="", return_dtype=pl.String),
                    return_dtype=pl.String,
                    is_elementwise=True,
                )
            )
        return placed.with_columns(**named)

    def events(self, *kinds: str) -> Iterator[Event]:
        """The events of the run in the order in which they were recorded.

        Args:
            kinds: Patterns of their kinds, such as ``"app.*"``; none means all.
        """
        from fnmatch import fnmatchcase

        path = self.run_dir / "events.jsonl"
        if not path.is_file():
            return
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    return  # it is being written, or its writer was killed
                event = Event(**json.loads(line))
                if not kinds or any(fnmatchcase(event.kind, kind) for kind in kinds):
                    yield event

    def log(self, replica: str) -> list[str]:
        """The lines that a replica's app printed.

        Raises:
            InputError: There is no such replica, or it printed nothing.
        """
        path = self.run_dir / "logs" / f"{replica}.log"
        if not path.is_file():
            known = sorted(each.stem for each in (self.run_dir / "logs").glob("*.log"))
            raise InputError(
                f"there is no log of {replica!r}", where=str(self.run_dir), hint=did_you_mean(replica, known)
            )
        return path.read_text(errors="replace").splitlines()

    def write_report(self, out_dir: str | Path | None = None) -> Path:
        """Write the report.

        Args:
            out_dir: Where it goes; None for the run directory's ``report``.

        Returns:
            The report's page.

        Raises:
            InputError: A file of the run is damaged, or `out_dir` can't be written to.
        """
        from wotemu_report import write_report
        from wotemu_runtime.recording.run_directory import tabulate

        out, goes_on = None if out_dir is None else Path(out_dir), self.goes_on
        return write_report(self.run_dir, out, tabulate(self.run_dir), goes_on=goes_on)

    def _repr_html_(self) -> str:
        """The run in a few lines, for notebooks."""
        manifest, certificate = self.manifest, self.certificate
        rows = {
            "status": manifest.status + (f": {manifest.error}" if manifest.error else ""),
            "fidelity": str(certificate) if certificate is not None else "no certificate",
            "objectives": self.objectives.summary,
            "lasted": "" if manifest.duration_s is None else f"{manifest.duration_s:g} s",
            "engine": f"{manifest.engine}, {manifest.shaper}",
            "seed": str(manifest.seed),
            "replicas": str(len(manifest.replicas)),
            "records": ", ".join(f"{count:,} {table}" for table, count in manifest.records.items()),
            "directory": str(self.run_dir),
            **{name: str(value) for name, value in self.parameters.items()},
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in rows.items()
            if text
        )
        return f"<table><caption><b>{html.escape(manifest.name)}</b></caption>{cells}</table>"
