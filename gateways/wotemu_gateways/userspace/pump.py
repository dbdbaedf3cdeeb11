"""Moves frames between the replicas' TAPs and the switch inside an event loop.

A replica's interface is a TAP whose other end the gateway holds, so nothing can pass unshaped.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Sequence

from wotemu_gateways.userspace.port import Port
from wotemu_gateways.userspace.switch import BATCH, Switch
from wotemu_gateways.userspace.timerfd import TimerFd

_TURN_S = 0.002
"""Then the loop's other callbacks (changes, records) have their turn."""


class Pump:
    """Moves frames for one switch, inside an event loop.

    The ports' descriptors and the timer are in an epoll set of their own, and the loop watches that set: a
    wake-up of the loop serves packets as tightly as a loop of its own would, for at most 2 ms at a time.
    """

    def __init__(self, switch: Switch, loop: asyncio.AbstractEventLoop) -> None:
        self._switch = switch
        self._loop = loop
        self._timer = TimerFd()
        self._armed_s: float | None = None
        self._ports: dict[int, Port] = {}
        self._fds: dict[str, int] = {}
        """The descriptors in `_ports` by their replica."""
        self._epoll = select.epoll()
        # Edge-triggered: an expiry is reported once, and needs no read that clears it.
        self._epoll.register(self._timer.fd, select.EPOLLIN | select.EPOLLET)
        switch.wake = self._arm
        loop.add_reader(self._epoll.fileno(), self._serve)

    def attach(self, replica: str, fd: int) -> None:
        """Serve a replica's descriptor, in place of any before; the pump closes it."""
        self.detach(replica)
        self._ports[fd], self._fds[replica] = self._switch.attach(replica, fd), fd
        self._epoll.register(fd, select.EPOLLIN)

    def detach(self, replica: str) -> None:
        """Close a replica's descriptor, if it has one."""
        if (fd := self._fds.pop(replica, None)) is not None:
            self._switch.attach(replica, -1)
            self._epoll.unregister(fd)
            del self._ports[fd]
            os.close(fd)

    def close(self) -> None:
        """Stop, and close every descriptor."""
        self._switch.wake = lambda: None
        self._loop.remove_reader(self._epoll.fileno())
        for replica in list(self._fds):
            self.detach(replica)
        self._epoll.close()
        self._timer.close()

    def _serve(self) -> None:
        """Serve packets until none is left or the turn is over; only then set the timer, which costs 2 us.

        At first a port gives one frame: most wake-ups are for one, and looking for another with a read that
        fails costs more than the poll, which ends the turn anyway. A port with more has batches read.
        """
        switch, poll = self._switch, self._epoll.poll
        now_s = switch.now()
        turn_ends_s, at_most = now_s + _TURN_S, 1
        while now_s < turn_ends_s and (events := poll(0)):
            now_s = self._serve_ready(events, at_most)
            at_most = BATCH
        self._arm()

    def _serve_ready(self, events: Sequence[tuple[int, int]], at_most: int) -> float:
        """Read each port, and release what is due before the next one has its turn.

        Returns:
            The time at the last of them.
        """
        switch, ports, timer_fd = self._switch, self._ports, self._timer.fd
        now_s = 0.0
        for fd, _ in events:
            if fd == timer_fd:
                self._armed_s = None
            else:
                switch.read(ports[fd], at_most)
            now_s = switch.now()
            switch.timers.release(now_s)
        return now_s

    def _arm(self) -> None:
        next_s = self._switch.timers.next_s
        if next_s != self._armed_s:
            self._armed_s = next_s
            if next_s is not None:
                self._timer.set(next_s)
