"""Processes of a sandbox that are left in the machine's network and mounts, to become uplinks' programs.

Only a process that has never left the machine's network can make sockets there without privileges. It is in
the sandbox's PID namespace all the same, so that it ends with it.
"""

from __future__ import annotations

import os
import signal

from wotemu_gateways.userspace.scheduling import leave_real_time_class
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import fork


def start_outside() -> Channel:
    """Fork such a process; the channel over which it gets its program."""
    ours, theirs = Channel.pair()
    fork(lambda: _become(theirs), keep_fds=[theirs.fileno()])
    theirs.close()
    return ours


def _become(channel: Channel) -> None:
    """Execute the program of the first message.

    The message has the program's arguments as ``argv``, and two descriptors: one of the network namespace
    that it leads out of, which becomes its standard input, and the one that it prints to.
    """
    received = channel.receive()
    if received is None:  # the emulation is over
        return
    message, (namespace, output) = received
    leave_real_time_class()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and pasta takes that for an error
    for fd, own in ((namespace, 0), (output, 1), (output, 2)):
        os.dup2(fd, own)
    os.execv(message["argv"][0], message["argv"])  # noqa: S606  # no shell


__all__ = ["start_outside"]
