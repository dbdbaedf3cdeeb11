"""What a gateway's process asks of the scheduler and the collector."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, gc, os
from wotemu_gateways.userspace import scheduling
os.nice(3)
taken = scheduling.request_low_latency()
attributes = ctypes.create_string_buffer(scheduling._ATTRIBUTES.size)
ctypes.CDLL(None).syscall({number}, 0, attributes, len(attributes), 0)
fields = scheduling._ATTRIBUTES.unpack(attributes.raw)
print(taken, fields[1], fields[3], fields[5], gc.get_threshold()[0])
"""
SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}


@pytest.mark.skipif(platform.machine() not in SCHED_GETATTR, reason="the system call's number isn't known")
def test_a_gateway_asks_for_early_turns_and_keeps_its_niceness() -> None:
    program = PROGRAM.format(number=SCHED_GETATTR[platform.machine()])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    taken, policy, nice, slice_ns, allocations = done.stdout.split()
    assert (taken, policy, nice) == ("True", "0", "3")
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if release >= (6, 12):
        assert slice_ns == "100000"
    assert int(allocations) > gc.get_threshold()[0]
