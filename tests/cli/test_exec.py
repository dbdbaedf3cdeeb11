"""``wotemu exec`` and ``wotemu shell``: exit codes, input, output, signals and the terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Running, Start, Write, command_line

pytestmark = pytest.mark.namespaces

YARD = """
def topology():
    return Topology([Node("sensor", command=["sleep", "1000"], networks=[net])])

def scenario():
    return Scenario(duration="300s")
"""
LIMIT_S = 30


@pytest.fixture
def yard(start: Start, write: Write) -> Iterator[Running]:
    """A run named yard that goes on, with a node named sensor."""
    running = start("run", write(YARD, "yard.py"), "--follow")
    running.until("run.t0")
    yield running
    running.hit(signal.SIGINT)
    running.finish()


def execute(*command: str, node: str = "sensor", given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command_line("exec", "yard", node, "--", *command), input=given, capture_output=True, timeout=LIMIT_S
    )


@pytest.mark.usefixtures("yard")
def test_exec_is_like_the_command_itself(folder: Path) -> None:
    done = execute("sh", "-c", "cat; echo no >&2; exit 7", given=b"hello")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"hello", b"no\n")

    # More than all pipes hold, in and out at once.
    given = os.urandom(3_000_000)
    done = execute("cat", given=given)
    assert (done.returncode, done.stdout == given) == (0, True)
    # It reads none of that.
    done = execute("sleep", "0.2", given=given)
    assert (done.returncode, done.stderr) == (0, b"")

    done = execute("no-such-program")
    assert done.returncode == 127
    assert b"can't run 'no-such-program': No such file or directory" in done.stderr

    done = execute("true", node="sensr")
    assert done.returncode == 2
    assert b"there is no node 'sensr'" in done.stderr
    assert b"sensor" in done.stderr
    assert b"Traceback" not in done.stderr

    assert execute("sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM

    # As in a shell: the reader leaves, and so does the command.
    line = " ".join(command_line("exec", "yard", "sensor", "--", "yes")) + " | head -1; echo ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=LIMIT_S)
    assert done.stdout.split() == [b"y", str(128 + signal.SIGPIPE).encode()]
    assert done.stderr == b""
    assert b"yes" not in execute("sh", "-c", "sleep 1; ps -eo comm").stdout.split()


@pytest.mark.usefixtures("yard")
def test_a_signal_is_passed_on(start: Start) -> None:
    script = "trap 'echo got it; exit 9' INT; echo up; while :; do sleep 0.1; done"
    running = start("exec", "yard", "sensor", "--", "sh", "-c", script)
    running.until("up")
    running.hit(signal.SIGINT)
    assert running.finish() == 9
    assert running.lines == ["up", "got it"]


class Terminal:
    """A terminal of this test's, with a command in it."""

    def __init__(self, *arguments: str) -> None:
        self.fd, self.inner = pty.openpty()
        self.resize(31, 97)
        self.before = termios.tcgetattr(self.inner)
        self.printed = b""
        self.process = subprocess.Popen(
            command_line(*arguments),
            stdin=self.inner,
            stdout=self.inner,
            stderr=self.inner,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def until(self, text: str) -> None:
        """Read what is printed up to a text."""
        deadline = time.monotonic() + LIMIT_S
        while text.encode() not in self.printed:
            assert select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))[0], self.printed
            self.printed += os.read(self.fd, 4096)
        self.printed = self.printed.partition(text.encode())[2]

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self.fd)
        os.close(self.inner)


@pytest.fixture
def shell(yard: Running) -> Iterator[Terminal]:  # it goes on meanwhile
    terminal = Terminal("shell", "yard", "sensor", "--", "sh")
    yield terminal
    terminal.close()


def test_a_shell_has_a_terminal(shell: Terminal) -> None:
    shell.type("PS1='rea''dy> '\n")  # the two quotes: its echo is not the prompt
    shell.until("ready> ")
    assert not termios.tcgetattr(shell.inner)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    shell.type("stty size; hostname\n")
    shell.until("31 97")
    shell.until("sensor")
    shell.until("ready> ")

    shell.resize(50, 120)
    shell.type("while [ \"$(stty size)\" != '50 120' ]; do sleep 0.1; done; echo resi''zed\n")
    shell.until("resized")
    shell.until("ready> ")

    shell.type("echo slee''ping; sleep 1000\n")
    shell.until("sleeping")
    time.sleep(0.3)  # until the shell has started it: before, Ctrl-C would only drop the line
    shell.type("\x03")
    shell.until("ready> ")

    shell.type("exit 5\n")
    assert shell.process.wait(LIMIT_S) == 5
    assert termios.tcgetattr(shell.inner) == shell.before


@pytest.mark.usefixtures("yard")
def test_a_shell_needs_a_terminal() -> None:
    done = subprocess.run(command_line("shell", "yard", "sensor"), capture_output=True, timeout=LIMIT_S)
    assert done.returncode == 2
    assert b"a shell needs a terminal, and this is none" in done.stderr
