"""A launcher in the loop of the agent that it serves, for tests on a jumping clock: nothing is forked."""

from __future__ import annotations

import asyncio
import contextlib
import os

import attrs

from wotemu_runtime.app_process.agent_connection import AgentConnection
from wotemu_runtime.app_process.messages import Message, Ready
from wotemu_runtime.app_process.record_sockets import socket_pair
from wotemu_runtime.processes.channel import Channel


@attrs.define
class FakeApp:
    """The app's ends of one start: its standard streams and its socket."""

    out: int
    err: int
    connection: AgentConnection

    def prints(self, stdout: bytes = b"", stderr: bytes = b"") -> None:
        os.write(self.out, stdout)
        os.write(self.err, stderr)

    def sends(self, *messages: Message) -> None:
        for message in messages:
            self.connection.send(message)

    def close(self) -> None:
        for fd in (self.out, self.err):
            with contextlib.suppress(OSError):
                os.close(fd)
        self.connection._socket.close()


class LoopLauncher:
    """Starts a `FakeApp` at each request. `requests` are those that came, with the loop's seconds.

    Args:
        prepares_s: seconds after which a WoT app says that it is ready; None: it does not.
        obeys: whether apps end at any signal; else the test calls `exited`.
        last_words: what each app prints before it ends at a signal.
    """

    def __init__(
        self, prepares_s: float | None = None, *, obeys: bool = True, last_words: bytes = b""
    ) -> None:
        self.agents_end, self._channel = Channel.pair()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._channel.fileno(), self._receive)
        self._prepares_s = prepares_s
        self._obeys = obeys
        self.last_words = last_words
        self.requests: list[tuple[float, str | int]] = []
        self.apps: list[FakeApp] = []
        self._runs = False

    @property
    def app(self) -> FakeApp:
        """The latest start."""
        return self.apps[-1]

    @property
    def signals(self) -> list[int]:
        return [what for _, what in self.requests if isinstance(what, int)]

    def _receive(self) -> None:
        received = self._channel.receive()
        if received is None:
            return
        message = received[0]
        what = message["op"] if message["op"] == "start" else message["signal"]
        self.requests.append((round(self._loop.time(), 3), what))
        if what == "start":
            self._start()
        elif self._obeys and self._runs:
            self.app.prints(self.last_words)
            self.exited(what)

    def _start(self) -> None:
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        ours, theirs = socket_pair()
        self._channel.send({"op": "started", "pid": 7}, [out_read, err_read, ours.fileno()])
        os.close(out_read)
        os.close(err_read)
        ours.close()
        self.apps.append(FakeApp(out_write, err_write, AgentConnection(theirs)))
        self._runs = True
        if self._prepares_s is not None:
            self._loop.call_later(self._prepares_s, self.app.sends, Ready())

    def exited(self, status: int, *, killed: int = 0, left: int = 0, close: bool = True) -> None:
        """The main process has ended; with `close` nothing holds its pipes open any more."""
        self._runs = False
        if close:
            self.app.close()
        self._channel.send({"op": "exited", "status": status, "killed": killed, "left": left})

    def close(self) -> None:
        self._loop.remove_reader(self._channel.fileno())
        for app in self.apps:
            app.close()
        self._channel.close()
        self.agents_end.close()
