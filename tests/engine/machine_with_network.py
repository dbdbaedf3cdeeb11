"""A machine of its own for uplinks: run in new user, network and mount namespaces.

It has a network (a pair of interfaces) with a web server and a name server at one address, and a server
that listens on the loopback interface alone. It runs one emulation, and prints what its nodes found as JSON.

    unshare ... python -m tests.engine.machine_with_network RUN_DIR
"""

from __future__ import annotations

import asyncio
import http.server
import json
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.engine.conftest import paced
from wotemu import Emulation, Link, Network, NetworkConditions, Node, Topology, Uplink, event

ADDRESS = "198.51.100.1"
ROUND_TRIP_S = 0.05
"""Twice 10 ms of the network and 15 ms of the uplink's link."""

CLIENT = """
import errno, json, os, socket, time, urllib.request

def reached(host, port):
    try:
        with socket.create_connection((host, port), timeout=2):
            return "reached"
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))

def round_trip(host, port):
    began = time.monotonic()
    with socket.create_connection((host, port), timeout=20):
        return time.monotonic() - began

def page(host):
    try:
        with urllib.request.urlopen(f"http://{host}:8000/", timeout=20) as answer:
            return answer.read().decode()
    except OSError as error:
        return str(error)

def name(host):
    try:
        return socket.gethostbyname(host)
    except OSError as error:
        return str(error)

OUTSIDE = "198.51.100.1"
found = {"outside": reached(OUTSIDE, 8000)}
if found["outside"] == "reached":
    found |= {
        "round_trips": [round_trip(OUTSIDE, 8000) for _ in range(10)],
        "page": page(OUTSIDE), "named page": page("server.example"), "name": name("server.example"),
        "own loopback": reached("127.0.0.1", 8001),
        "loopback": [reached(host, 8001) for host in ("192.0.2.2", "192.0.2.3", "192.0.2.100", OUTSIDE)],
        "other network": reached("10.65.0.2", 9000),
    }
found["peer"] = name("alone" if os.environ["WOTEMU_NODE"] == "islander" else "neighbour")
print(json.dumps(found), flush=True)
time.sleep(1000)
"""


def set_up() -> None:
    """Make the machine's network."""
    for command in (
        "ip link set lo up",
        "ip link add wan0 type veth peer name wan1",
        f"ip address add {ADDRESS}/24 dev wan0",
        "ip link set wan0 up",
        "ip link set wan1 up",
        "ip route add default via 198.51.100.254",
    ):
        subprocess.run(command.split(), check=True)
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(f"nameserver {ADDRESS}\n")
    target = Path("/etc/resolv.conf").resolve()
    subprocess.run(["mount", "--bind", file.name, str(target)], check=True)


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every request with the address that it came to."""

    def do_GET(self) -> None:
        text = f"at {self.connection.getsockname()[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # the base class's name
        """Print nothing."""


def serve_names(sock: socket.socket) -> None:
    """Answer every question for an IPv4 address with this machine's, all others with nothing."""
    while True:
        query, client = sock.recvfrom(2000)
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        is_ipv4 = question[-4:-2] == b"\0\1"
        head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_ipv4 else b"\0\0") + bytes(4)
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(ADDRESS) if is_ipv4 else b""
        sock.sendto(head + question + record, client)


def serve() -> list[int]:
    """Serve in threads; the ports of loopback connections that came."""
    servers = [http.server.ThreadingHTTPServer((host, port), Page) for host, port in ((ADDRESS, 8000),)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    names = socket.socket(type=socket.SOCK_DGRAM)
    names.bind((ADDRESS, 53))
    threading.Thread(target=serve_names, args=[names], daemon=True).start()
    came: list[int] = []
    loopback = socket.create_server(("127.0.0.1", 8001))

    def accept() -> None:
        while True:
            came.append(loopback.accept()[1][1])

    threading.Thread(target=accept, daemon=True).start()
    return came


def topology() -> Topology:
    """Two nodes with a way out, and two on a network without."""
    field = Network("field", NetworkConditions(latency="10ms"))
    island = Network("island")
    client = [sys.executable, "-c", CLIENT]
    nodes = [
        Node("client", command=client, networks=[field]),
        Node("neighbour", command=["sleep", "1000"], networks=[field]),
        Node("islander", command=client, networks=[island]),
        Node("alone", command=["sleep", "1000"], networks=[island]),
    ]
    modem = Uplink("modem", networks=[Link(field, NetworkConditions(latency="15ms"))])
    return Topology(nodes, uplinks=[modem])


async def main(run_dir: Path) -> None:
    """Run the emulation until both clients have printed what they found."""
    set_up()
    came = serve()
    found: dict[str, object] = {}
    async with Emulation(topology(), out=run_dir, duration=paced(60), pcap=["modem"]) as emulation:
        await emulation.ready()
        await emulation.wait_for(event("uplink.opened"))
        for node in ("client", "islander"):
            log = run_dir / "logs" / f"{node}.log"
            async with asyncio.timeout(50):
                while not (log.exists() and log.read_text().endswith("\n")):  # noqa: ASYNC110  # logs have no events
                    await asyncio.sleep(0.1)
            found[node] = json.loads(log.read_text())
    found["loopback connections"] = len(came)
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
