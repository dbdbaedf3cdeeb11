"""Commands in nodes: in the node's network, with input, output as it comes, a terminal, and an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from wotemu import Emulation, InputError, Network, NetworkConditions, Node, NotInTimeError, Topology
from wotemu_runtime.control.client import ControlClient
from wotemu_runtime.control.requests import Exited, Printed

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("namespaces")]

TOPOLOGY = Topology(
    [
        Node(
            "phone",
            command=["sleep", "600"],
            networks=[Network("field", NetworkConditions(latency="1ms"))],
            scale=2,
        )
    ]
)


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_commands_run_in_nodes() -> None:
    async with Emulation(TOPOLOGY, name="commands") as emulation:
        await emulation.ready()
        done = await emulation.exec(
            "phone-2", ["sh", "-c", "hostname; cat; echo no >&2; exit 3"], input="hello"
        )
        assert (done.returncode, done.stdout, done.stderr) == (3, "phone-2\nhello", "no\n")
        long = await emulation.exec("phone-1", ["head", "-c", "3000000", "/dev/zero"])
        assert (long.returncode, len(long.output)) == (0, 3_000_000)
        # More than its pipes and its credit hold: it prints before it has read all.
        given = bytes(range(250)) * 12_000
        echoed = await emulation.exec("phone-1", ["cat"], input=given, timeout=60)
        assert (echoed.returncode, echoed.output == given) == (0, True)
        ignored = await emulation.exec("phone-1", ["sh", "-c", "sleep 0.2; echo no"], input=given)
        assert (ignored.returncode, ignored.stdout) == (0, "no\n")
        missing = await emulation.exec("phone-1", ["no-such-program"])
        assert (missing.returncode, missing.stderr) == (
            127,
            "wotemu: can't run 'no-such-program': No such file or directory\n",
        )
        with pytest.raises(NotInTimeError, match=r"phone-1: sleep 321: not within 0\.3"):
            await emulation.exec("phone-1", ["sleep", "321"], timeout=0.3)
        async for each in emulation.exec_stream("phone-1", ["yes"]):
            assert isinstance(each, Printed)
            break
        left = await emulation.exec("phone-1", ["sh", "-c", "sleep 1; ps -eo args"])
        assert "sleep 321" not in left.stdout
        assert "yes" not in left.stdout.splitlines()
        for node, message in (("phone", "there is no node 'phone'"), ("phone-1", "no command is given")):
            with pytest.raises(InputError, match=message):
                await emulation.exec(node, [])
        async with ControlClient("commands").execute("phone-1", ["sh"], tty=True, size=(10, 50)) as shell:
            await shell.write(b"stty size; exit 4\n")
            printed = [each async for each in shell.output()]
        assert printed[-1] == Exited(4)
        async with ControlClient("commands").execute("phone-1", ["cat"], tty=True) as cat:
            await cat.write(b"within a line")
            await cat.end_input()
            assert [each async for each in cat.output()][-1] == Exited(0)
        assert b"10 50" in b"".join(each.data for each in printed if isinstance(each, Printed))
    assert emulation.result.certificate is not None
    texts = [event.message for event in emulation.result.events("control.exec")]
    assert texts[1] == "Python: phone-1: head -c 3000000 /dev/zero"
