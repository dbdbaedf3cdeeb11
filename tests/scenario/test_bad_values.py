"""Whatever a word of a scenario is given, it takes it or says with file and line what is wrong."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.scenario.deployment import FIELD, HOME, RADIO, READER, TOPOLOGY
from wotemu.errors import InputError, ScenarioError
from wotemu.scenario import (
    PathLoss,
    Phase,
    Scenario,
    Trace,
    at,
    during,
    event,
    every,
    metric,
    resolve,
    saw,
    sine,
    square,
    tag,
    triangle,
    when,
)
from wotemu.topology.models import NetworkConditions

HERE = Path(__file__).name
TRACE = Path(__file__).parents[2] / "examples" / "traces" / "hspa_bus.up"
TWO = during(10, 20)
SLOW: Any = metric("reader.delay") > 2

VALUES: list[Any] = [
    *(None, True, ..., 3, -1, 10**400, -(10**400), 1e308, float("nan"), float("inf"), 1j),
    *("", "x", "1e999s", b"x", [], {}, (), (1, 2), ("a", "b"), [[1]], {1: 2}),
    *(object(), float, lambda: 1, FIELD, RADIO, READER, NetworkConditions.GPRS, PathLoss(), sine("1s")),
]

CONDITIONS = [field.name for field in attrs.fields(NetworkConditions)]


def words(**given: Callable[[Any], Any]) -> dict[str, Callable[[Any], Any]]:
    return given


def as_it_is(value: Any) -> Any:
    return value


def with_each(
    names: list[str], word: Callable[..., Any], to: Callable[[Any], Any] = as_it_is, **usual: Any
) -> dict[str, Callable[[Any], Any]]:
    """The word once for each of its arguments, which gets the value while the others are as usual."""

    def giving(name: str) -> Callable[[Any], Any]:
        return lambda value: word(**{**usual, name: to(value)})

    owner = type(getattr(word, "__self__", None)).__name__  # instants and periods share methods
    return {f"{owner}.{word.__qualname__}({name}=)": giving(name) for name in names}


def model(**fields: Any) -> Any:
    """A node that travels under a model of these fields."""
    stations = {FIELD: (0, 0), HOME: (3, 3)}
    return TWO.travel(READER, [(0, (0, 0)), (9, (1e6, 0))], stations=stations, model=PathLoss(**fields))


def swing(shape: Callable[..., Any]) -> Callable[..., Any]:
    """A wave of a shape with these arguments."""

    def waving(**given: Any) -> Any:
        return TWO.wave(FIELD, shape(**{"period": "5s", **given}), loss=(0, "1%"))

    waving.__qualname__ = shape.__name__
    return waving


def repeat(**given: Any) -> Any:
    return every(**{"period": "5s", **given}).do(at(0).heal())


WORDS: dict[str, Callable[[Any], Any]] = {
    **words(
        at=lambda v: at(v).heal(),
        during=lambda v: during(v, 20).cut(FIELD),
        until=lambda v: during(1, v).cut(FIELD),
        heal=lambda v: at(1).heal(v),
        partition=lambda v: at(1).partition(v),
        partition_name=lambda v: at(1).partition([READER], name=v),
        partition_period=lambda v: TWO.partition(v),
        named=lambda v: at(1).heal().named(v),
        set_target=lambda v: at(1).set(v, loss="5%"),
        set_preset=lambda v: at(1).set(FIELD, v, loss="5%"),
        set_direction=lambda v: at(1).set(FIELD, NetworkConditions.GPRS, v),
        hold_target=lambda v: TWO.set(v, loss="5%"),
        scale_target=lambda v: at(1).scale(v, loss=2),
        scale_direction=lambda v: TWO.scale(FIELD, v, loss=2),
        follow_values=lambda v: TWO.follow(FIELD, lambda _t: v),
        follow_value=lambda v: TWO.follow(FIELD, lambda _t: {"loss": v}),
        replay_scale=lambda v: TWO.replay(RADIO, TRACE, scale={"rate": v}),
        move_network=lambda v: TWO.move(READER, [(0, v)]),
        move_time=lambda v: TWO.move(READER, [(v, HOME)]),
        travel_place=lambda v: TWO.travel(READER, [(0, v)], stations={FIELD: (0, 0)}),
        travel_x=lambda v: TWO.travel(READER, [(0, (v, 0))], stations={FIELD: (0, 0)}),
        travel_site=lambda v: TWO.travel(READER, [(0, (0, 0))], stations={FIELD: v}),
        wave_sum=lambda v: TWO.wave(FIELD, sine("5s") + v, loss=(0, "1%")),
        every_do=lambda v: every("5s").do(v),
        when=lambda v: when(v).do(at(0).heal()),
        when_do=lambda v: when(SLOW).do(v),
        when_held=lambda v: when(SLOW, held=v).do(at(0).heal()),
        when_after=lambda v: when(SLOW, after=v).do(at(0).heal()),
        when_within=lambda v: when(SLOW).do(at(0).heal(), within=v),
        when_otherwise=lambda v: when(SLOW).do(at(0).heal(), otherwise=v),
        when_named=lambda v: when(SLOW).do(at(0).heal()).named(v),
        metric=lambda v: when(metric(v) > 1).do(at(0).heal()),
        metric_than=lambda v: when(metric("reader.x") > v).do(at(0).heal()),
        metric_equal=lambda v: when(metric("reader.x") == v).do(at(0).heal()),
        event=lambda v: when(event(v)).do(at(0).heal()),
        event_count=lambda v: when(event("app.ready", v)).do(at(0).heal()),
        event_node=lambda v: when(event("app.ready", node=v)).do(at(0).heal()),
        tag=lambda v: at(1).set(tag(v, FIELD), loss="2%"),
        tag_target=lambda v: at(1).set(tag("a", v), loss="2%"),
        duration=lambda v: Scenario(duration=v),
        seed=lambda v: Scenario(seed=v),
        phases=lambda v: Scenario(phases=v),
        events=lambda v: Scenario(events=v),
        phase_name=lambda v: Scenario(phases=[Phase(v, 0)]),
        phase_start=lambda v: Scenario(phases=[Phase("a", v)]),
    ),
    **with_each(["target"], at(1).restore),
    **with_each(["target"], at(1).cut),
    **with_each(["target"], at(1).reconnect),
    **with_each(["node"], at(1).crash),
    **with_each(["node"], at(1).restart),
    **with_each(["node"], at(1).stop),
    **with_each(["node"], at(1).start),
    **with_each(["target"], TWO.cut),
    **with_each(["node"], TWO.crash),
    **with_each(["node"], TWO.stop),
    **with_each(CONDITIONS, at(1).set, target=FIELD),
    **with_each(CONDITIONS, at(1).scale, target=FIELD),
    **with_each(CONDITIONS, TWO.ramp, target=FIELD),
    **with_each(CONDITIONS, TWO.wave, lambda value: (value, value), target=FIELD),
    **with_each(CONDITIONS, TWO.random_walk, lambda value: (0, value), target=FIELD),
    **with_each(["every", "shape", "direction", "keep"], TWO.ramp, target=RADIO, loss=(0, "5%")),
    **with_each(["every", "shape", "direction", "keep", "period"], TWO.wave, target=RADIO, loss=(0, "5%")),
    **with_each(["every", "step", "direction", "keep"], TWO.random_walk, target=RADIO, loss=(0, "5%")),
    **with_each(
        ["function", "direction", "keep", "every"],
        TWO.follow,
        target=RADIO,
        function=lambda _t: {"loss": "1%"},
    ),
    **with_each(
        ["trace", "direction", "loop", "scale", "speed", "keep"], TWO.replay, target=RADIO, trace=TRACE
    ),
    **with_each(["target", "up", "down", "jitter"], TWO.flap, target=RADIO),
    **with_each(["nodes", "rate", "downtime"], TWO.churn, nodes=READER),
    **with_each(["node", "path", "gap"], TWO.move, node=READER, path=[(0, FIELD), (3, HOME)]),
    **with_each(
        ["node", "path", "stations", "model", "every", "gap", "hysteresis_db"],
        TWO.travel,
        node=READER,
        path=[(0, (0, 0)), (3, (10, 0))],
        stations={FIELD: (0, 0)},
    ),
    **with_each([field.name for field in attrs.fields(PathLoss)], model),
    **with_each(["period", "weight", "shift"], swing(sine)),
    **with_each(["period", "weight", "shift"], swing(square)),
    **with_each(["period", "weight", "shift"], swing(saw)),
    **with_each(["period", "weight", "shift"], swing(triangle)),
    **with_each(["period", "start", "until"], repeat),
}


@pytest.mark.parametrize("word", WORDS)
def test_a_value_is_taken_or_refused_with_its_place(word: str) -> None:
    for value in VALUES:
        try:
            made = WORDS[word](value)
            resolve(TOPOLOGY, made if isinstance(made, Scenario) else Scenario(events=[made]))
        except InputError as error:
            assert isinstance(error, ScenarioError), (value, error)
            assert re.match(rf"{re.escape(HERE)}:\d+, ", error.where or ""), (value, error.where)


@pytest.mark.parametrize("value", VALUES)
def test_a_trace_is_read_or_refused(value: Any) -> None:
    """It names the file that it reads, as that is at fault."""
    with contextlib.suppress(ScenarioError):
        Trace.read(value)
    with contextlib.suppress(ScenarioError):
        Trace.mahimahi(TRACE, value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PathLoss(retries=-1), "retries=-1 is no number of tries from 0 to 255"),
        (lambda: PathLoss(retries="7"), "retries='7' is no number of tries"),  # type: ignore[arg-type]
        (lambda: PathLoss(shadowing_db=-3), "shadowing_db=-3 is not from 0 to 100"),
        (lambda: sine("1s", weight="2"), "weight='2' is not above zero"),  # type: ignore[arg-type]
        (lambda: sine("1s", shift="a"), "shift='a' is no number"),  # type: ignore[arg-type]
        (lambda: TWO.replay(RADIO, 3), "3 is no Trace and no path"),  # type: ignore[arg-type]
        (
            lambda: TWO.travel(READER, [(0, (0, 0))], stations={FIELD: (0, 0)}, model="free"),  # type: ignore[arg-type]
            "model='free' is no PathLoss",
        ),
        (
            lambda: TWO.travel(READER, [(0, (0, 0))], stations={FIELD: (0, 0)}, hysteresis_db="3"),  # type: ignore[arg-type]
            "hysteresis_db='3' is no number",
        ),
        (lambda: when(metric("a.x") == 3), "rarely equal to a number"),
        (lambda: when(SLOW).do(at(0).heal()).named("x"), "can't begin when a guard fires"),
        (lambda: every("5s").do(at(0).heal().named("x")), "phase 'x' can't begin in here"),
        (lambda: Scenario(duration="1us"), "'1us' is less than 10ms"),
        (lambda: Scenario(duration="1000d"), "is longer than a year"),
        (lambda: during("5s", "5s"), "it lasts no time"),
        (lambda: TWO.wave(FIELD, sine("4s"), period="1s", loss=(0, "1%")), "period='1s' says nothing"),
    ],
)
def test_messages_say_what_is_wrong(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(message)) as caught:
        make()
    assert (caught.value.where or "").startswith(f"{HERE}:")


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: at(1).set(FIELD, latncy="1ms"), "did you mean 'latency'?"),  # type: ignore[call-arg]
        (lambda: at(1).set(FIELD, delay="1ms"), "did you mean 'latency'?"),  # type: ignore[call-arg]
        (lambda: TWO.ramp(FIELD, bandwidth=("1mbit", "2mbit")), "did you mean 'rate'?"),  # type: ignore[call-arg]
        (lambda: TWO.scale(FIELD, bw=0.5), "did you mean 'rate'?"),  # type: ignore[call-arg]
        (
            lambda: resolve(TOPOLOGY, Scenario(events=[at(1).set("feild", loss="1%")])),
            "did you mean 'field'?",
        ),
        (lambda: resolve(TOPOLOGY, Scenario(events=[at(1).crash("raeder")])), "did you mean 'reader'?"),
        (
            lambda: resolve(TOPOLOGY, Scenario(events=[at(1).cut("raeder@field")])),
            "did you mean 'reader@field'?",
        ),
        (
            lambda: resolve(TOPOLOGY, Scenario(events=[when(metric("raeder.x") > 1).do(at(0).heal())])),
            "did you mean 'reader'?",
        ),
        (lambda: Scenario(duratoin="5s"), "did you mean 'duration'?"),  # type: ignore[call-arg]
        (lambda: PathLoss(noise_figure=3), "did you mean 'noise_figure_db'?"),  # type: ignore[call-arg]
        (lambda: Phase(nme="a", start=0), "did you mean 'name'?"),  # type: ignore[call-arg]
        (lambda: event("app.redy"), "did you mean 'app.ready'?"),
        (
            lambda: resolve(TOPOLOGY, Scenario(events=[at(1).set("sensor-2", loss="1%")])),
            "say 'sensor', or make it a Node of its own",
        ),
        (
            lambda: resolve(TOPOLOGY, Scenario(events=[at(1).set("sensor-2@field", loss="1%")])),
            "say 'sensor', or make it a Node of its own",
        ),
    ],
)
def test_what_is_misspelled_comes_with_what_may_be_meant(make: Callable[[], Any], hint: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        make()
    assert hint in (caught.value.hint or "")


def test_the_place_is_the_line_where_the_event_is_written() -> None:
    moment = at(5)  # the line that counts
    line = 1 + Path(__file__).read_text().splitlines().index("    moment = at(5)  # the line that counts")
    with pytest.raises(ScenarioError) as caught:
        resolve(TOPOLOGY, Scenario(events=[moment.crash("nobody")]))
    assert caught.value.where == f"{HERE}:{line}, at(5s).crash"
