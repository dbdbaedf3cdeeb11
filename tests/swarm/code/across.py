"""Apps of nodes on two machines: one serves a Thing over every binding, the other reads it over each."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from wotemu.app import Conf, wait_node

THING = "urn:test:across"
DESCRIPTION = {
    "@context": "https://www.w3.org/2022/wot/td/v1.1",
    "id": THING,
    "title": "Across",
    "security": ["nosec_sc"],
    "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
    "properties": {"level": {"type": "number", "readOnly": True}},
}
BINDINGS = ("http", "ws", "coap", "mqtt")
BULK_PORT, BULK_BYTES = 7000, 500_000
ICMP_BYTES = 20 + 8
"""The headers around a ping's data."""


async def serve(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop) -> None:
    """Expose the Thing, and send back the digest of whatever comes to the bulk port."""

    async def level() -> int:
        return 7

    thing = wot.produce(json.dumps(DESCRIPTION))
    thing.set_property_read_handler("level", level)
    thing.expose()
    await asyncio.start_server(_digest, port=BULK_PORT)
    while True:
        tell("server", **counters(conf.replica))
        await asyncio.sleep(1)


async def _digest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    data = await reader.readexactly(BULK_BYTES)
    writer.write(hashlib.sha256(data).digest() + data)  # as much goes back
    await writer.drain()
    writer.close()


async def read(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop) -> None:
    """Read the Thing over each binding, find the path's MTU, move a lot both ways; then tell it."""
    await wait_node(conf, "server", thing_ids=[THING])
    values = {}
    for binding, thing in (await _things(wot, conf)).items():
        for _ in range(20):
            try:
                values[binding] = await thing.properties["level"].read(timeout=5)
                break
            except Exception as error:  # WoTPy raises bare exceptions
                print(f"{binding}: {error!r}")
                await asyncio.sleep(1)
    fits, more_fits = [await _ping(_mtu(conf.replica) - ICMP_BYTES + more) for more in (0, 1)]
    mss = await _bulk()
    while True:
        tell("client", values=values, fits=fits, more_fits=more_fits, mss=mss, **counters(conf.replica))
        await asyncio.sleep(1)


async def _things(wot: Any, conf: Conf) -> dict[str, Any]:
    """The remote Thing by binding: each with the forms of one scheme alone."""
    url = f"http://server:{conf.port_catalogue}/?expanded=true"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        (description,) = json.loads(await answer.read()).values()
    things = {}
    for binding in BINDINGS:
        chosen = json.loads(json.dumps(description))
        (level,) = chosen["properties"].values()
        level["forms"] = [form for form in level["forms"] if form["href"].startswith(f"{binding}:")]
        things[binding] = wot.consume(json.dumps(chosen))
    return things


async def _ping(size: int) -> bool:
    """Whether unfragmented pings with so many bytes of data come back."""
    words = ["ping", "-M", "do", "-c", "3", "-i", "0.2", "-s", str(size), "server"]
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.STDOUT)
    return await process.wait() == 0


async def _bulk() -> int:
    """The MSS of a connection that has moved a lot both ways, whole."""
    reader, writer = await asyncio.open_connection("server", BULK_PORT)
    data = bytes(range(250)) * (BULK_BYTES // 250)
    writer.write(data)
    assert await reader.readexactly(32) == hashlib.sha256(data).digest()
    assert await reader.readexactly(BULK_BYTES) == data
    mss: int = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    writer.close()
    return mss


def counters(node: str) -> dict[str, Any]:
    """What the kernel of this node, which is `node`, has counted, and whom it spoke to on its network."""
    lines = Path("/proc/net/snmp").read_text().splitlines()
    named: dict[str, int] = {}
    for names, numbers in zip(lines[::2], lines[1::2], strict=True):
        protocol, _, rest = names.partition(":")
        values = numbers.partition(":")[2].split()
        named |= {f"{protocol}{name}": int(n) for name, n in zip(rest.split(), values, strict=True)}
    chosen = ("IcmpInRedirects", "IpFragCreates", "IpFragFails", "IpReasmReqds")
    arp = [line.split() for line in Path("/proc/net/arp").read_text().splitlines()[1:]]
    neighbours = [entry[0] for entry in arp if entry[5] == _device(node)]
    return {"neighbours": neighbours, "mtu": _mtu(node), **{name: named[name] for name in chosen}}


def _device(node: str) -> str:
    """The interface with this node's address on the emulated network."""
    address = socket.gethostbyname(node)
    for device, entries in psutil.net_if_addrs().items():
        if address in [entry.address for entry in entries]:
            return device
    raise LookupError(address)


def _mtu(node: str) -> int:
    return int(Path(f"/sys/class/net/{_device(node)}/mtu").read_text())


def tell(role: str, **facts: Any) -> None:
    """Print facts for the test to read."""
    print("FACTS", json.dumps({"role": role, **facts}), flush=True)
