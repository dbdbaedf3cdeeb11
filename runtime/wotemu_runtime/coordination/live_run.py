"""The parts of one run that its phases share: its plan, engine, recorder, state, control and outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import attrs

from wotemu.errors import WotemuError
from wotemu.records import Event
from wotemu.scenario.resolver import Resolver
from wotemu.scenario.timeline import Timeline
from wotemu_runtime.bus import BusClock, Streams
from wotemu_runtime.coordination.change_answers import ChangeAnswers
from wotemu_runtime.coordination.guards import Guards
from wotemu_runtime.coordination.live_timeline import LiveTimeline
from wotemu_runtime.coordination.measurements import Measurements
from wotemu_runtime.coordination.outcome import Outcome
from wotemu_runtime.coordination.run_control import RunControl
from wotemu_runtime.coordination.run_state import RunState
from wotemu_runtime.engines.engine import Engine
from wotemu_runtime.fidelity import Witness
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.probe_schedule import places_of
from wotemu_runtime.recording.liveness import SOURCE
from wotemu_runtime.recording.recorder import Durable, Listener, Recorder
from wotemu_runtime.recording.run_directory import RunDirectory


@attrs.frozen
class LiveRun:
    """Made once by the coordinator; readiness, succession, shutdown and the watches work on it."""

    plan: Plan
    engine: Engine
    clock: BusClock
    control: RunControl
    state: RunState
    recorder: Recorder
    witness: Witness
    inserted: LiveTimeline
    guards: Guards
    answers: ChangeAnswers
    measured: Measurements
    outcome: Outcome

    @classmethod
    def assemble(
        cls,
        plan: Plan,
        engine: Engine,
        directory: RunDirectory,
        clock: BusClock,
        resolver: Resolver,
        *,
        listener: Listener = lambda _: None,
        durable: Durable = lambda: None,
        resumed: bool = False,
    ) -> Self:
        """Connect the parts of a run: what the recorder takes goes to the witness, the state and the guards.

        Args:
            resolver: resolves the timeline again when a guard fires or a change is made by hand.
            listener, durable, resumed: see `Recorder`.
        """
        control = RunControl(clock.now)
        state = RunState(plan, control)
        inserted = LiveTimeline(resolver)
        guards, answers = Guards(inserted, clock.now), ChangeAnswers()
        measured = Measurements(control.news)
        witness = Witness(places_of(plan), lambda: inserted.current, inserted.is_by_hand)
        recorder = Recorder(
            directory,
            witness,
            clock.now,
            sinks=(guards, state, answers, measured),
            listener=listener,
            durable=durable,
            resumed=resumed,
        )
        outcome = Outcome(losses=state.losses)
        return cls(
            plan,
            engine,
            clock,
            control,
            state,
            recorder,
            witness,
            inserted,
            guards,
            answers,
            measured,
            outcome,
        )

    @property
    def streams(self) -> Streams:
        """The names of the run's keys on the bus."""
        return Streams(self.plan.stack)

    @property
    def timeline(self) -> Timeline:
        """The planned changes, with those of guards that have fired and those made by hand."""
        return self.inserted.current

    @property
    def is_running(self) -> bool:
        """Whether the run is neither over nor about to end, so that every role should be there."""
        return self.outcome.is_running and not self.control.has_failed

    @property
    def now(self) -> Callable[[], float]:
        """The bus's clock, in seconds since the epoch."""
        return self.clock.now

    def begin_at(self, t0: float) -> None:
        """Set T0, in seconds since the epoch on the bus's clock."""
        self.outcome.t0 = t0
        self.recorder.totals.ends = t0 + self.timeline.duration_s
        self.witness.begin(t0)
        self.control.news()

    def report(self, kind: str, message: str, **data: Any) -> None:
        """Record an event of the coordinator's own, now."""
        self.recorder.record(Event(self.now(), kind, SOURCE, message, data))

    def report_loss(self, source: str, what: str, count: int) -> None:
        """Record that `source` lost `count` records, as `what` describes them."""
        data = {"what": what, "count": count}
        self.recorder.record(Event(self.now(), "records.lost", source, f"{count} {what}", data))

    def fail(self, error: WotemuError) -> None:
        """Record why the run fails, as soon as that is known; only the first reason counts."""
        self.outcome.status = "failed"
        if self.outcome.error is None:
            self.outcome.error = error
            self.report("run.failed", str(error))
