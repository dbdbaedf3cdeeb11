"""The launcher: the first process of a node. It forks the node's app when the node's agent requests it.

It has one thread and no event loop, so forking is safe at any time. The app's libraries that were imported
before it was forked itself are shared by every start of the app. A node that runs a command has two processes
of Python's, one with an agent and this one, so this module imports little.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from wotemu_runtime.agent import process_tree
from wotemu_runtime.agent.app_environment import reporting, unhooked_flag
from wotemu_runtime.agent.scratch_disk import ScratchDisk
from wotemu_runtime.agent.stressors import Stressors
from wotemu_runtime.agent.suspension import Suspension
from wotemu_runtime.app_process import broker_ca
from wotemu_runtime.app_process.record_sockets import socket_pair
from wotemu_runtime.processes import reaper
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import fork

if TYPE_CHECKING:
    from wotemu_runtime.agent.wall_clock import WallClock
    from wotemu_runtime.app_process.loading.spec import AppSpec

RunAgent = Callable[[Channel], int | None]

MAX_SHOWN = 200
"""Characters of a command that are shown."""
EXIT_NOT_RUN = 127
"""A shell's exit code where a program can't be run."""

AT_START = ("PYTHON", "LD_", "LANG", "LC_", "LOCPATH", "GLIBC_", "MALLOC_", "OPENSSL_")
"""Prefixes of environment variables that Python, libc, the loader or a preloaded library read at start."""


@attrs.frozen(kw_only=True)
class Program:
    """What a node runs: a WoT app or any command, its environment, and its limits."""

    app: AppSpec | None
    command: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    cgroups: tuple[str, ...] = ()
    """Directories of control groups that the app joins."""
    uid: int | None = None
    """The app's user id in a user namespace of its own; None for no new namespace."""
    nproc_limit: int | None = None
    """RLIMIT_NPROC in that namespace."""
    skews_clock: bool = False
    """Whether the scenario skews its wall clock."""


class Launcher:
    """Serves the requests of one agent.

    Requests: ``{"op": "start"}`` and ``{"op": "kill", "signal": n}``. Answers: ``{"op": "started", "pid"}``
    with the descriptors of standard output, standard error and the records' socket, and
    ``{"op": "exited", "status", "killed", "left"}`` once the main process has ended. As in a container, what
    it left running has been killed by then: `killed` processes, of which `left` are still there.

    ``{"op": "exec", "id", "command", "tty"}`` runs another command as the app would run: answered by
    ``{"op": "exec_started", "id"}`` with the descriptors of its standard input, output and error, or of its
    terminal alone, and by ``{"op": "exec_exited", "id", "status"}``. ``{"op": "exec_kill", "id", "signal"}``
    signals its process group.

    ``{"op": "fault", "fault", ...}`` imposes or ends a fault of the node: ``pause`` and ``resume`` suspend
    all its processes and let them go on (`Suspension`), ``stress`` and ``unstress`` run processes beside the
    app (`Stressors`), ``fill_disk`` and ``free_disk`` change what room its scratch folder has
    (`ScratchDisk`), ``skew_clock`` sets its wall clock wrong or right (`WallClock`). It is answered by
    ``{"op": "imposed", "error", ...}``.

    Args:
        program: What the node runs.
        isolate: Confines the forked process before it becomes the program.
        scratch: The path of the node's scratch folder, where that is a tmpfs of its own.
        clock: The node's wall clock, where it can be skewed.
    """

    def __init__(
        self,
        program: Program,
        isolate: Callable[[Program], None],
        scratch: str | None = None,
        clock: WallClock | None = None,
    ) -> None:
        self._program = program
        self._isolate = isolate
        self._app_pid: int | None = None
        self._starts = 0
        self._agent_pid: int | None = None
        self._commands: dict[int, str] = {}
        """Commands beside the app, by their process ids."""
        self._stressors = Stressors(lambda: isolate(program))
        self._suspension = Suspension(program.cgroups, self._own_processes, lambda: self._stressors.pids)
        self._scratch = None if scratch is None else ScratchDisk(scratch)
        self._clock = clock
        self._channel: Channel

    def serve_beside_agent(self, run_agent: RunAgent, prepare: Callable[[], None] = lambda: None) -> NoReturn:
        """Fork an agent of this node's own, and serve until it ends; its status becomes this process's.

        Args:
            run_agent: Runs the agent, given its end of the channel.
            prepare: Imports what apps share, once the agent is forked: it has no use for it.
        """
        self._channel, agent_end = Channel.pair()
        self._agent_pid = agent = fork(lambda: run_agent(agent_end), keep_fds=[agent_end.fileno()])
        agent_end.close()
        signal.signal(signal.SIGTERM, lambda *_: self._kill(agent, signal.SIGTERM))
        prepare()
        while True:  # `_ended` leaves with the agent
            reaper.serve(self._channel, self._request, self._ended, until_closed=False)

    def serve(self, channel: Channel) -> None:
        """Serve an agent that runs elsewhere until it closes its end of the channel, then end the app."""
        self._channel = channel
        reaper.serve(channel, self._request, self._ended, until_closed=True)
        self._stressors.end()
        self._end_all()

    def _request(self, message: dict[str, Any]) -> None:
        match message["op"]:
            case "start":
                self._start()
            case "kill":
                self._kill_app(message["signal"])
            case "exec":
                self._execute(message["id"], tuple(message["command"]), tty=message["tty"])
            case "fault":
                self._impose(message)
            case "exec_kill":
                for pid in [pid for pid, each in self._commands.items() if each == message["id"]]:
                    self._kill(-pid, message["signal"])

    def _start(self) -> None:
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        ours, theirs = socket_pair()
        self._starts += 1
        self._app_pid = fork(
            lambda: self._become_app(out_write, err_write, theirs),
            keep_fds=[out_write, err_write, theirs.fileno()],
        )
        self._send({"op": "started", "pid": self._app_pid}, [out_read, err_read, ours.fileno()])
        for fd in (out_read, out_write, err_read, err_write):
            os.close(fd)
        ours.close()
        theirs.close()

    def _impose(self, message: dict[str, Any]) -> None:
        """Impose or end a fault, and answer."""
        answer: dict[str, Any]
        try:
            answer = {"error": "", **self._change_fault(message)}
        except OSError as failure:
            answer = {"error": str(failure)}
        self._send({"op": "imposed", **answer})

    def _change_fault(self, message: dict[str, Any]) -> dict[str, Any]:
        match message["fault"]:
            case "pause":
                self._suspension.begin()
            case "resume":
                self._suspension.end()
            case "stress":
                self._stressors.start(message["cpu"] or 0.0, message["mem_bytes"] or 0)
                self._stop_if_suspended()
            case "unstress":
                return self._stressors.end()
            case "fill_disk" | "free_disk" if self._scratch is None:
                return {"error": "its scratch folder is on its machine's disk, which must not be filled"}
            case "fill_disk" if self._scratch is not None:
                return dict(self._scratch.fill(message["leave_bytes"]))
            case "free_disk" if self._scratch is not None:
                return dict(self._scratch.free())
            case "skew_clock" if self._clock is None:
                return {"error": self._why_no_clock()}
            case "skew_clock" if self._clock is not None:
                self._clock.skew(message["by_s"])
                return {"ahead_s": self._clock.ahead_s(), "unreached": self._unreached(self._clock)}
        return {"by": self._suspension.by}

    def _unreached(self, clock: WallClock) -> list[str]:
        """The names of programs that keep the right time: what does not ask libc for it has no library."""
        ours = self._own_processes() | self._stressors.pids
        running = process_tree.snapshot().items()
        programs = [(pid, each.name) for pid, each in running if each.is_alive and pid not in ours]
        return sorted({name for pid, name in programs if not clock.reaches(pid)})

    def _why_no_clock(self) -> str:
        if self._program.skews_clock:
            return "libfaketime can't be loaded there: install it in its image"
        return (
            "its programs were started without libfaketime, as the scenario skews its clock nowhere: "
            'have it do so once, if only by at(0).skew_clock(..., by="1us")'
        )

    def _stop_if_suspended(self) -> None:
        """Stop what was started in a suspended node; a freezer's group has it frozen from its start."""
        if self._suspension.is_on and self._suspension.by == "signals":
            process_tree.stop_all(self._own_processes())

    def _execute(self, number: str, command: tuple[str, ...], *, tty: bool) -> None:
        """Run a command beside the app, with pipes or a terminal of its own."""
        if tty:
            terminal, inside = os.openpty()
            ours, theirs = [terminal], [inside]
        else:
            (in_read, in_write), (out_read, out_write), (err_read, err_write) = (
                os.pipe2(os.O_CLOEXEC) for _ in range(3)
            )
            ours, theirs = [in_write, out_read, err_read], [in_read, out_write, err_write]
        is_made = True
        try:
            pid = fork(lambda: self._become_command(command, theirs), keep_fds=theirs)
        except OSError as error:  # in a container the node's app may have all processes that there may be
            os.write(theirs[-1], f"wotemu: can't run {command[0]!r}: {error.strerror}\n".encode())
            is_made = False
        else:
            self._commands[pid] = number
        self._stop_if_suspended()
        self._send({"op": "exec_started", "id": number}, ours)
        for fd in (*ours, *theirs):
            os.close(fd)
        if not is_made:
            self._send({"op": "exec_exited", "id": number, "status": EXIT_NOT_RUN << 8})

    def _become_command(self, command: tuple[str, ...], standard: list[int]) -> int:
        """Become a command; `standard` has its input, output and error, or its terminal alone."""
        os.setsid()
        for target in range(3):
            os.dup2(standard[min(target, len(standard) - 1)], target)
        if len(standard) == 1:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for fd in standard:
            os.close(fd)
        self._isolate(self._program)
        os.environ.update(self._program.env)
        broker_ca.place(os.environ)
        os.environ.update(reporting(os.environ))
        if self._clock is not None:
            self._clock.preload()
        os.chdir(self._program.cwd)
        try:
            os.execvp(command[0], command)  # noqa: S606  # running the user's program is the point
        except OSError as error:
            print(f"wotemu: can't run {command[0]!r}: {error.strerror}", file=sys.stderr, flush=True)
            return EXIT_NOT_RUN

    def _become_app(self, out: int, err: int, records: socket.socket) -> int:
        program = self._program
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (out, 1), (err, 2)):
            os.dup2(source, target)
        os.close(out)
        os.close(err)
        for line in (sys.stdout, sys.stderr):
            line.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # the real standard streams
        self._isolate(program)
        fresh = needs_fresh_interpreter(program.env, os.environ) or self._clock is not None
        os.environ.update(program.env)
        broker_ca.place(os.environ)
        os.environ.update(reporting(os.environ))
        if self._clock is not None:
            self._clock.preload()
        time.tzset()
        os.chdir(program.cwd)
        if program.app is None:
            _report_unhooked(program)
            return _run_command(program.command, records)
        app = attrs.evolve(program.app, conf=attrs.evolve(program.app.conf, restarts=self._starts - 1))
        if fresh:
            _run_afresh(app, records)
        from wotemu_runtime.app_process.main import run_app  # nodes that run a command need little memory

        return run_app(app, records)

    def _kill_app(self, number: int) -> None:
        """Signal the app's process group; SIGKILL reaches everything that it started, in whatever session."""
        if number == signal.SIGKILL:
            self._end_all()
        elif self._app_pid is not None and not self._kill(-self._app_pid, number):
            self._kill(self._app_pid, number)  # it has not made its session yet

    def _own_processes(self) -> set[int]:
        """The processes of the namespace that are not of the app."""
        return {1, os.getpid(), self._agent_pid or 1}

    def _end_all(self) -> tuple[int, int]:
        return self._suspension.end_all()

    def _ended(self, pid: int, status: int) -> None:
        if pid == self._agent_pid:
            self._end_all()
            os._exit(min(255, abs(os.waitstatus_to_exitcode(status))))
        self._stressors.ended(pid, status)
        if (number := self._commands.pop(pid, None)) is not None:
            self._send({"op": "exec_exited", "id": number, "status": status})
        if pid == self._app_pid:
            self._app_pid = None
            killed, left = self._end_all()
            self._send({"op": "exited", "status": status, "killed": killed, "left": left})

    def _send(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the agent's end is reaped above
            self._channel.send(message, fds or [])

    @staticmethod
    def _kill(pid: int, number: int) -> bool:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True


def needs_fresh_interpreter(env: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Whether a forked interpreter, which was started with `environ`, would ignore some of `env`."""
    changed = (name for name, value in env.items() if environ.get(name) != value)
    # Lines are written at once without PYTHONUNBUFFERED too: see `app_process.main`.
    return any(name.startswith(AT_START) and name != "PYTHONUNBUFFERED" for name in changed)


def _report_unhooked(program: Program) -> None:
    """Report a command on WoTPy whose interpreter ignores the start hook."""
    if flag := unhooked_flag(program.command, Path(program.cwd)):
        from wotemu.app.agent_socket import report_unmeasured

        report_unmeasured(" ".join(program.command)[:MAX_SHOWN], f"Python ignores PYTHONPATH with {flag}")


def _run_command(command: tuple[str, ...], records: socket.socket) -> int:
    try:
        os.execvp(command[0], command)  # noqa: S606  # running the user's program is the point
    except OSError as error:
        from wotemu_runtime.app_process.agent_connection import AgentConnection
        from wotemu_runtime.app_process.messages import Failed, Failure

        message = f"can't run {command[0]!r}: {error.strerror}"
        print(f"wotemu: {message}", file=sys.stderr)
        channel = AgentConnection(records)
        hint = "is it installed, executable, and on this node's PATH?"
        channel.send(Failed(Failure("prepare", "", message, "field 'command'", hint)))
        return EXIT_NOT_RUN


def _run_afresh(app: AppSpec, records: socket.socket) -> NoReturn:
    """Replace this process by a new interpreter that runs the app, for variables that are read at start."""
    spec = os.memfd_create("spec", 0)
    os.write(spec, json.dumps(app.to_dict()).encode())
    os.lseek(spec, 0, os.SEEK_SET)
    records.set_inheritable(True)
    # -P: the working directory holds the user's modules, which must not be taken for Python's
    arguments = ["-P", "-m", "wotemu_runtime.app_process.main", str(records.fileno()), f"@{spec}"]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606  # no shell, our own program
