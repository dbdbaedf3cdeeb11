"""The bus's clock on machines whose own clocks are off, drift, and are set; tests move the clocks."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu_runtime.bus import BusAddress, BusClock
from wotemu_runtime.bus.anchor import KEY, Anchor, kernel_id
from wotemu_runtime.bus.offset import MAX_DRIFT, MAX_SLEW, MIN_SLEW, Offset, Slew, best_offset, surer
from wotemu_runtime.bus.wall_clock import WallClock

DELAYS_S = st.floats(0, 0.5)
OFFSETS_S = st.floats(-1000, 1000)
ROUNDING_S = 1e-6  # of sums of floats near the epoch
EPOCH_S = 1_750_000_000.0


@attrs.define
class Machine:
    """A machine's clocks: tests let time pass and set the wall clock."""

    monotonic_s: float = 1000.0
    ahead_s: float = EPOCH_S - 1000.0
    """The wall clock's lead over the monotonic one."""
    rate: float = 1.0

    def passes(self, seconds: float) -> None:
        self.monotonic_s += seconds * self.rate

    @property
    def wall_s(self) -> float:
        return self.monotonic_s + self.ahead_s

    def monotonic(self) -> float:
        return self.monotonic_s

    def wall(self) -> float:
        return self.wall_s


class FakeBus:
    """A bus on `machine`, as far as clocks use it; requests and answers take `way_s` each."""

    def __init__(self, machine: Machine, others: list[Machine], anchor: Anchor | None) -> None:
        self.machine, self.others, self.anchor = machine, others, anchor
        self.way_s = 0.0001

    def pipeline(self, *, transaction: bool) -> FakeBus:
        return self

    async def __aenter__(self) -> FakeBus:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def time(self) -> None:
        pass

    def get(self, key: str) -> None:
        assert key == KEY

    async def execute(self) -> list[Any]:
        self.pass_all(self.way_s)
        seconds = int(self.machine.wall_s)
        answer = (seconds, round((self.machine.wall_s - seconds) * 1e6))
        self.pass_all(self.way_s)
        return [answer, None if self.anchor is None else self.anchor.to_json().encode()]

    def pass_all(self, seconds: float) -> None:
        for each in (self.machine, *self.others):
            each.passes(seconds)

    def step(self, seconds: float, *, told: bool = True) -> None:
        """Set the bus's wall clock; its anchor says so at once, or later."""
        self.machine.ahead_s += seconds
        if told:
            self.tell()

    def tell(self) -> None:
        assert self.anchor is not None
        self.anchor = self.anchor.seen(self.anchor.kernel, self.machine.wall_s - self.machine.monotonic_s)

    def now(self) -> float:
        assert self.anchor is not None
        return self.machine.monotonic_s + self.anchor.monotonic_s


def elsewhere(rate: float = 1.0) -> tuple[FakeBus, Machine, BusClock]:
    """A bus, and the clock of a role on another machine that is 7 s ahead."""
    bus_machine, machine = Machine(), Machine(5.0, EPOCH_S + 2, rate)
    bus = FakeBus(bus_machine, [machine], Anchor("bus", EPOCH_S - 1000.0))
    return bus, machine, BusClock(machine.monotonic, own_epoch_s=EPOCH_S + 2, kernel="other")


@given(OFFSETS_S, st.lists(st.tuples(DELAYS_S, DELAYS_S), min_size=1, max_size=8))
def test_an_offset_is_off_by_no_more_than_it_says(true_s: float, ways: list[tuple[float, float]]) -> None:
    """Whatever the requests and the answers take, one way or the other."""
    sent = EPOCH_S
    found = best_offset((sent, sent + there + true_s, sent + there + back) for there, back in ways)
    assert abs(found.offset_s - true_s) <= found.error_s + ROUNDING_S
    assert found.error_s <= min(there + back for there, back in ways) / 2 + ROUNDING_S


@given(OFFSETS_S, st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 0.1), st.floats(0, 0.1), st.floats(0, 1e4))
def test_of_two_right_offsets_the_choice_is_right_and_never_worse(
    true_s: float, wrong: float, wrong_too: float, error_s: float, error_too_s: float, age_s: float
) -> None:
    old = Offset(true_s + wrong * error_s, error_s)
    new = Offset(true_s + wrong_too * error_too_s, error_too_s)
    found = surer(old, age_s, new)
    assert abs(found.offset_s - true_s) <= found.error_s + ROUNDING_S
    assert found.error_s <= min(error_too_s, error_s + MAX_DRIFT * age_s) + ROUNDING_S


@given(OFFSETS_S, OFFSETS_S, st.lists(st.floats(0, 100), min_size=2, max_size=20))
def test_a_slewed_clock_never_jumps_and_never_runs_backwards(
    before_s: float, after_s: float, steps_s: list[float]
) -> None:
    slew, t, shown = Slew(before_s, after_s, 50.0), 0.0, None
    for step_s in steps_s:
        t += step_s
        if shown is not None:
            assert (1 - MAX_SLEW) * step_s - ROUNDING_S <= t + slew.at(t) - shown
            assert t + slew.at(t) - shown <= (1 + MAX_SLEW) * step_s + ROUNDING_S
        shown = t + slew.at(t)
        assert slew.when(shown) == pytest.approx(t, abs=ROUNDING_S)
    assert slew.at(50.0 + slew.duration_s) == pytest.approx(after_s, abs=ROUNDING_S)
    assert slew.at(0.0) == pytest.approx(before_s, abs=ROUNDING_S)


def test_a_small_correction_is_as_slow_as_the_kernels() -> None:
    assert Slew(0.0, 0.001, 0.0).duration_s == pytest.approx(0.001 / MIN_SLEW)


async def test_roles_on_the_buss_kernel_have_one_clock() -> None:
    """Offset and error are 0, and two roles' times are equal to the last bit."""
    machine = Machine()
    anchor = Anchor("this", EPOCH_S - 1000.0)
    clocks = [BusClock(machine.monotonic, own_epoch_s=EPOCH_S + k, kernel="this") for k in (0.0, 0.003)]
    for clock in clocks:
        await clock.measure(FakeBus(machine, [], anchor))  # type: ignore[arg-type]
        assert clock.is_the_bus
        assert clock.offset == Offset(0.0, 0.0)
    machine.passes(0.1234567)
    assert clocks[0].now() == clocks[1].now() == machine.monotonic_s + anchor.monotonic_s


async def test_an_address_with_an_anchor_needs_no_measuring() -> None:
    address = BusAddress("x", path="/bus", anchor_s=500.0)
    assert BusAddress.from_dict(address.to_dict()) == address
    clock = BusClock(lambda: 3.0, own_epoch_s=0.0)
    await clock.measure(None, address.anchor_s)  # type: ignore[arg-type]
    assert clock.now() == 503.0


async def test_a_copied_machine_is_not_taken_for_the_buss_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the same boot id, but its clock has gone its own way."""
    monkeypatch.setattr("wotemu_runtime.bus.clock.SOON_S", 0.0)
    bus, machine, _ = elsewhere()
    clock = BusClock(machine.monotonic, own_epoch_s=EPOCH_S + 2, kernel="bus")
    await clock.measure(bus)  # type: ignore[arg-type]
    assert not clock.is_the_bus
    assert clock.now() == pytest.approx(bus.now(), abs=bus.way_s + ROUNDING_S)


async def test_another_machines_clock_is_corrected_within_its_error() -> None:
    bus, _, clock = elsewhere()
    await clock.measure(bus)  # type: ignore[arg-type]
    assert clock.offset.offset_s == pytest.approx(-7.0, abs=bus.way_s)
    assert 0 < clock.offset.error_s < 2 * bus.way_s
    assert clock.now() == pytest.approx(bus.now(), abs=clock.offset.error_s + ROUNDING_S)


@pytest.mark.parametrize("step_s", [5.0, -5.0])
async def test_a_step_of_the_roles_own_wall_clock_changes_nothing(step_s: float) -> None:
    bus, machine, clock = elsewhere()
    await clock.measure(bus)  # type: ignore[arg-type]
    before = clock.now()
    machine.ahead_s += step_s
    assert clock.now() == before
    await clock.measure(bus)  # type: ignore[arg-type]
    assert clock.now() == pytest.approx(bus.now(), abs=clock.offset.error_s + ROUNDING_S)


@pytest.mark.parametrize("step_s", [5.0, -5.0])
@pytest.mark.parametrize("told", [True, False])
async def test_a_step_of_the_buss_wall_clock_changes_nothing(step_s: float, told: bool) -> None:
    """Also where it is measured between the step and the word of it."""
    bus, _, clock = elsewhere()
    await clock.measure(bus)  # type: ignore[arg-type]
    bus.step(step_s, told=told)
    for _ in range(3):
        await clock.measure(bus)  # type: ignore[arg-type]
        assert clock.now() == pytest.approx(bus.now(), abs=clock.offset.error_s + ROUNDING_S)
        assert clock.offset.error_s < 0.001
        bus.tell()
        bus.pass_all(1.0)


async def test_drift_is_followed_without_a_jump() -> None:
    bus, _, clock = elsewhere(rate=1 + 80e-6)
    await clock.measure(bus)  # type: ignore[arg-type]
    shown = clock.now()
    for _ in range(300):
        bus.pass_all(1.0)
        await clock.measure(bus)  # type: ignore[arg-type]
        assert abs(clock.now() - shown - 1.0) < 0.01
        shown = clock.now()
        assert abs(shown - bus.now()) <= clock.offset.error_s + ROUNDING_S
    assert abs(clock.now() - bus.now()) < 0.001


async def test_a_machine_that_stood_still_catches_up_and_says_how_wrong_it_is() -> None:
    bus, _, clock = elsewhere()
    await clock.measure(bus)  # type: ignore[arg-type]
    bus.machine.passes(2.0)  # the other machine was paused
    for _ in range(2):
        await clock.measure(bus)  # type: ignore[arg-type]
    assert clock.offset.error_s > 1.9
    at = clock.now()
    bus.pass_all(1.0)
    assert 1.0 < clock.now() - at <= 1 + MAX_SLEW + ROUNDING_S
    bus.pass_all(60.0)
    await clock.measure(bus)  # type: ignore[arg-type]
    assert clock.now() == pytest.approx(bus.now(), abs=0.001)


async def test_what_waits_for_a_time_is_on_time_while_the_clock_is_corrected() -> None:
    bus, machine, clock = elsewhere()
    await clock.measure(bus)  # type: ignore[arg-type]
    bus.machine.passes(0.02)
    for _ in range(2):
        await clock.measure(bus)  # type: ignore[arg-type]
    due = clock.now() + 3.0
    machine.passes(clock.left_s(due))
    assert clock.now() == pytest.approx(due, abs=ROUNDING_S)


def test_the_anchor_keeps_the_time_over_steps_and_reboots() -> None:
    anchor = Anchor("a", 1000.0)
    assert anchor.seen("a", 1000.00001) == anchor
    stepped = anchor.seen("a", 1005.0)
    assert stepped == Anchor("a", 1000.0, wall_s=5.0)
    assert stepped.seen("a", 1000.0) == anchor
    rebooted = stepped.seen("b", 9005.0)
    assert rebooted == Anchor("b", 9000.0, wall_s=5.0)
    assert Anchor.from_json(rebooted.to_json()) == rebooted


def test_this_kernel_has_an_identity() -> None:
    assert kernel_id() == kernel_id() != ""


@given(st.floats(0, 0.2), st.sampled_from([5.0, -5.0, 0.5, -0.5]), st.booleans())
def test_packets_are_stamped_right_around_a_step_of_the_wall_clock(
    read_after_s: float, step_s: float, before: bool
) -> None:
    """The kernel stamps with the wall clock, and the stamp is read a moment later."""
    machine = Machine()
    wall = WallClock(machine.wall, machine.monotonic)
    machine.passes(1.0)
    if not before:
        machine.ahead_s += step_s
    stamp, came = machine.wall_s, machine.monotonic_s
    if before:
        machine.ahead_s += step_s
    machine.passes(read_after_s)
    assert wall.monotonic(stamp) == pytest.approx(came, abs=2 * ROUNDING_S)


def test_a_step_is_noticed_once() -> None:
    machine = Machine()
    wall = WallClock(machine.wall, machine.monotonic)
    machine.ahead_s += 5
    assert wall.look() == pytest.approx(5.0)
    assert wall.look() == 0.0
