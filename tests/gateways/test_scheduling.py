"""What a gateway's process asks of the scheduler and the collector."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, gc, os, sys
from wotemu_gateways.userspace import scheduling
os.nice(3)
handed_on = sys.argv[1] == "parent" and scheduling.enter_real_time_class(children_too=True)
if os.geteuid() == 0:
    os.setuid(65534)
policies = []
for ordinary in (False, True):
    child = os.fork()
    if not child:
        if ordinary:
            scheduling.leave_real_time_class()
        os._exit(os.sched_getscheduler(0))
    policies.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
granted = scheduling.request_low_latency()
attributes = ctypes.create_string_buffer(scheduling._ATTRIBUTES.size)
ctypes.CDLL(None).syscall({number}, 0, attributes, len(attributes), 0)
fields = scheduling._ATTRIBUTES.unpack(attributes.raw)
child = os.fork()
if not child:
    os._exit(os.sched_getscheduler(0))
policies.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(handed_on, granted.replace(" ", "-"), fields[1], fields[3], fields[4], fields[5], *policies)
print(gc.get_threshold()[0])
"""
SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
OTHER, FIFO = str(os.SCHED_OTHER), str(os.SCHED_FIFO)

pytestmark = pytest.mark.skipif(
    platform.machine() not in SCHED_GETATTR, reason="the number of the system call isn't known"
)


def scheduled(how: str) -> list[str]:
    """What an ordinary user's process prints of itself, alone or with a parent in the real-time class."""
    program = PROGRAM.format(number=SCHED_GETATTR[platform.machine()])
    done = subprocess.run([sys.executable, "-c", program, how], capture_output=True, text=True, check=True)
    *words, allocations = done.stdout.split()
    assert int(allocations) > gc.get_threshold()[0]
    return words


def test_without_the_right_to_the_real_time_class_it_gets_short_slices_and_keeps_its_niceness() -> None:
    handed_on, granted, policy, nice, priority, slice_ns, *policies = scheduled("alone")
    if granted == "real-time":
        pytest.skip("this user may use the real-time class: RLIMIT_RTPRIO")
    assert (handed_on, granted, policy, nice, priority) == ("False", "short-slices", OTHER, "3", "0")
    assert policies == [OTHER] * 3
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if release >= (6, 12):
        assert slice_ns == "100000"


def test_a_right_that_a_parent_had_is_handed_on_to_gateways_and_to_nothing_that_they_start() -> None:
    handed_on, granted, policy, _, priority, _, *policies = scheduled("parent")
    if handed_on == "False":
        pytest.skip("this user has no right to the real-time class")
    assert (granted, policy, priority) == ("real-time", FIFO, "1")
    of_a_child, of_one_that_left, of_a_gateways_child = policies
    assert (of_a_child, of_one_that_left, of_a_gateways_child) == (FIFO, OTHER, OTHER)
