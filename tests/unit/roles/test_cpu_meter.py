"""A process's CPU time between samples, by clocks that are set by hand."""

from __future__ import annotations

from wotemu_runtime.roles.self_monitoring import CpuMeter


def test_each_sample_has_the_time_and_the_cpu_time_since_the_one_before() -> None:
    times, cpu_s = iter([100.0, 101.0, 103.0]), iter([5.0, 5.2500004, 7.0])
    meter = CpuMeter(times.__next__, cpu_s.__next__)
    assert meter.sample() == (101.0, 1.0, 0.25)
    assert meter.sample() == (103.0, 2.0, 1.75)
