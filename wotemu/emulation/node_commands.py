"""Commands that are run in the nodes of an emulation."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import attrs

from wotemu.emulation.run_thread import RunThread
from wotemu.errors import InputError, NotInTimeError, NotRunningError
from wotemu.units import QuantityLike, Seconds
from wotemu_runtime.control.requests import Exited, InputRead, Printed
from wotemu_runtime.coordination.live_control import LiveControl

WHO = "Python"
"""The author of this API's changes, as events name it."""


@attrs.frozen
class Completed:
    """A command that has ended in a node.

    Attributes:
        returncode: Its exit code, or minus the number of the signal that killed it.
        output: What it wrote to its standard output.
        errors: What it wrote to its standard error.
    """

    returncode: int
    output: bytes = attrs.field(repr=False)
    errors: bytes = attrs.field(repr=False)

    @property
    def stdout(self) -> str:
        """The standard output as text."""
        return self.output.decode(errors="replace")

    @property
    def stderr(self) -> str:
        """The standard error as text."""
        return self.errors.decode(errors="replace")


class NodeCommands(ABC):
    """Methods that run commands in nodes."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the run."""

    @property
    @abstractmethod
    def _control(self) -> LiveControl:
        """What controls the run, while it goes on."""

    @property
    @abstractmethod
    def _running(self) -> RunThread[Any]:
        """The run's thread."""

    async def exec(
        self, node: str, argv: Sequence[str], *, input: bytes | str = b"", timeout: QuantityLike | None = None
    ) -> Completed:
        """Run a command in a node, in its network and as its app's user: ``["ping", "-c3", "sensor"]``.

        It ends with the node's app, as all that runs there does.

        Args:
            node: The node's name, or that of one replica where there are several.
            argv: The program and its arguments.
            input: Its standard input.
            timeout: How long it may take; None for as long as the run goes on.

        Returns:
            Its exit code and all that it printed.

        Raises:
            InputError: There is no such node.
            NotInTimeError: It took longer; it is killed.
            NotRunningError: The scenario has not begun, or is over.
        """
        printed: dict[int, list[bytes]] = {1: [], 2: []}
        limit_s = None if timeout is None else seconds_of(timeout, "timeout")
        given = input.encode() if isinstance(input, str) else input
        try:
            async with asyncio.timeout(limit_s):
                async with contextlib.aclosing(self.exec_stream(node, argv, input=given)) as output:
                    async for each in output:
                        if isinstance(each, Exited):
                            return Completed(each.returncode, b"".join(printed[1]), b"".join(printed[2]))
                        printed[each.fd].append(each.data)
        except TimeoutError:
            raise NotInTimeError(f"not within {timeout}", where=f"{node}: {shlex.join(argv)}") from None
        raise NotRunningError("the run ended before the command did", where=f"emulation {self.name!r}")

    async def exec_stream(
        self, node: str, argv: Sequence[str], *, input: bytes = b""
    ) -> AsyncGenerator[Printed | Exited, None]:
        """As `exec`, but what the command prints comes as it does; leaving the loop early kills it.

        Yields:
            Any number of `Printed`, with `fd` 1 or 2 and `data`, then `Exited` with the `returncode`.
        """
        control, thread = self._control, self._running
        command = await thread.call(lambda: control.execute(node, argv, WHO))

        async def give() -> None:
            await command.write(input)
            await command.end_input()

        giving = asyncio.create_task(thread.call(give))  # a command that does not read may yet print
        output = command.output()
        try:
            while True:
                each = await thread.call(lambda: anext(output, None))
                if each is None:
                    return
                if not isinstance(each, InputRead):
                    yield each
        finally:
            giving.cancel()
            await asyncio.gather(giving, return_exceptions=True)
            with contextlib.suppress(NotRunningError):
                await thread.call(output.aclose)


def seconds_of(value: QuantityLike, where: str) -> float:
    """A duration in seconds, which may be 0; `InputError` at `where` if it can't be read."""
    try:
        return float(Seconds.offset(value))
    except (TypeError, ValueError) as error:
        raise InputError(str(error), where=where) from error
