"""Whole emulations on this machine: what nodes see, what a scenario does to them, what is left behind."""

from __future__ import annotations

import json
import re
import resource
import shlex
import statistics
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.engine.conftest import Emulate, paced
from wotemu.scenario import Phase, Scenario, at
from wotemu.topology.models import (
    Broker,
    Link,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    NodeResources,
    Placement,
    Service,
    Topology,
)

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("no_leftovers")]

SLOW = Network("field", NetworkConditions(latency="20ms"))
IDLE = ["sleep", "100"]


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def round_trips_ms(lines: list[str]) -> list[float]:
    return [float(match[1]) for line in lines if (match := re.search(r"time=([\d.]+) ms", line))]


async def test_packets_take_the_time_that_their_network_says(emulate: Emulate) -> None:
    ran = await emulate(
        Topology([
            Node("a", command=["ping", "-i", "0.05", "b"], networks=[SLOW]),
            Node("b", command=IDLE, networks=[SLOW]),
        ]),
        Scenario(duration=paced(3)),
    )  # fmt: skip
    times = round_trips_ms(ran.log("a"))
    assert len(times) > 20
    # Two crossings of 20 ms. A gateway can only be late: a busy machine adds to the median, never subtracts.
    assert 40 <= statistics.median(times) < 60
    assert min(times) >= 39.9


async def test_a_service_on_a_network_is_reached_under_its_conditions(emulate: Emulate) -> None:
    answer = python("import socket;s=socket.create_server(('',7000))\nwhile True: s.accept()[0].send(b'row')")
    service = Service("db", command=answer, networks=[Link(SLOW, up=NetworkConditions(latency="10ms"))])
    ask = python(
        "import socket,time\nwhile True:\n t=time.time(); s=socket.create_connection(('db',7000),5)\n"
        " print(s.recv(9),round(1000*(time.time()-t)),flush=True); time.sleep(.1)"
    )
    roof = Placement(constraints=["node.labels.site==roof"])
    ran = await emulate(
        Topology([Node("a", command=ask, networks=[SLOW], services=[service], placement=roof)]),
        Scenario(duration=paced(2)),
    )
    times_ms = [int(found[1]) for line in ran.log("a") if (found := re.match(r"b'row' (\d+)", line))]
    assert min(times_ms) >= 99, "a handshake, and an answer to it: 20 ms there and 30 ms back, twice"
    manifest = json.loads((ran.result.run_dir / "manifest.json").read_text())
    assert any(text.startswith("a: its placement") for text in manifest["unenforced"])


async def test_changes_are_applied_in_order_and_answered(emulate: Emulate) -> None:
    ran = await emulate(
        Topology([
            Node("a", command=["ping", "-i", "0.05", "b"], networks=[SLOW]),
            Node("b", command=IDLE, networks=[SLOW]),
        ]),
        Scenario(
            duration=paced(4),
            phases=[
                Phase("near", 0),
                Phase("far", paced(1)),
                Phase("cut", paced(2)),
                Phase("back", paced(3)),
            ],
            events=[
                at(paced(1)).set(SLOW, latency="80ms"),
                at(paced(2)).partition("a"),
                at(paced(3)).heal(),
                at(paced(3)).restore(SLOW),
            ],
        ),
    )  # fmt: skip
    changes = pl.read_parquet(ran.result.run_dir / "tables" / "changes.parquet").sort("id")
    assert changes["ok"].all()
    assert (changes["applied"] >= changes["due"]).all()
    assert changes["action"].to_list() == ["conditions", "partition", "partition", "conditions"]
    phases = [event.data["phase"] for event in ran.of_kind("run.phase")]
    assert phases == ["near", "far", "cut", "back"]
    times = round_trips_ms(ran.log("a"))
    assert max(times) >= 160
    assert times[-1] < 160
    hops = pl.read_parquet(ran.result.run_dir / "tables" / "hops.parquet")
    assert hops["dropped_cut"].sum() > 0


async def test_nodes_are_machines_of_their_own(emulate: Emulate) -> None:
    look = (
        "import os,socket,glob;print(socket.gethostname());print(len(os.listdir('/proc/self/task')));"
        "print(sorted(int(p[6:]) for p in glob.glob('/proc/[0-9]*'))[0]);print(os.getuid()!=0);"
        "print([l.split()[1] for l in open('/proc/self/status') if l.startswith('CapEff')]);"
        "print(sorted(n for _,n in socket.if_nameindex()));print(socket.gethostbyname('b.field'));"
        "print(os.path.exists('/run/wotemu/bus.sock'))"
    )
    ran = await emulate(
        Topology([
            Node("a", command=python(look), networks=[SLOW]),
            Node("b", command=IDLE, networks=[SLOW]),
        ]),
        Scenario(duration=paced(2)),
    )  # fmt: skip
    name, _, first, ordinary, capabilities, interfaces, address, bus = ran.log("a")
    assert (name, first, ordinary) == ("a", "1", "True")
    assert capabilities == "['0000000000000000']"
    assert interfaces == "['eth0', 'lo']"
    assert address == "10.64.0.3"
    assert bus == "False", "what the roles share is none of an app's business"


async def test_names_resolve_to_all_replicas_and_unknown_ones_at_once(emulate: Emulate) -> None:
    look = (
        "import socket,time;print(sorted({a[4][0] for a in socket.getaddrinfo('b',80)}))\n"
        "s=time.monotonic()\n"
        "try: socket.getaddrinfo('nowhere.example',80)\n"
        "except socket.gaierror as e: print(e.errno==socket.EAI_NONAME, time.monotonic()-s<1)"
    )
    ran = await emulate(
        Topology([
            Node("a", command=python(look), networks=[SLOW]),
            Node("b", command=IDLE, networks=[SLOW], scale=3),
        ]),
        Scenario(duration=paced(2)),
    )  # fmt: skip
    assert ran.log("a") == ["['10.64.0.4', '10.64.0.5', '10.64.0.6']", "True True"]


async def test_nodes_without_a_common_network_do_not_reach_each_other(emulate: Emulate) -> None:
    other = Network("other")
    probe = python(
        "import socket\n"
        "try: socket.create_connection(('10.65.0.2',80),2)\n"
        "except OSError as e: print(type(e).__name__, e.errno)"
    )
    ran = await emulate(
        Topology([Node("a", command=probe, networks=[SLOW]), Node("b", command=IDLE, networks=[other])]),
        Scenario(duration=paced(2)),
    )
    assert ran.log("a") == ["OSError 101"]  # network is unreachable


async def test_a_crash_is_silent_and_a_restart_starts_again(emulate: Emulate) -> None:
    # A peer that is killed normally says so with a FIN or RST; one that lost its power says nothing.
    server = python(
        "import socket;s=socket.create_server(('',7000));print('start',flush=True)\n"
        "while True:\n c,_=s.accept()\n print(c.recv(9),flush=True)\n c.recv(9)"
    )
    client = python(
        "import socket,time\n"
        "while True:\n"
        " try: c=socket.create_connection(('server',7000),5); break\n"
        " except OSError: time.sleep(.05)\n"
        "c.send(b'hi'); c.settimeout(1.5)\n"
        "try: print('got', c.recv(9))\n"
        "except TimeoutError: print('silence')"
    )
    ran = await emulate(
        Topology(
            [Node("server", command=server, networks=[SLOW]), Node("client", command=client, networks=[SLOW])]
        ),
        Scenario(duration=paced(4), events=[at(paced(1)).crash("server"), at(paced(3)).restart("server")]),
    )
    assert ran.log("client") == ["silence"]
    assert ran.log("server").count("start") == 2
    assert not ran.of_kind("app.crashed", "agent:server"), "what the script does is no failure of the app"


async def test_an_app_that_crashes_is_started_again_and_the_run_goes_on(emulate: Emulate) -> None:
    ran = await emulate(
        Topology([
            Node("weak", command=["sh", "-c", "echo up; sleep 1.2; echo gone >&2; exit 3"], networks=[SLOW]),
            Node("strong", command=IDLE, networks=[SLOW]),
        ]),
        Scenario(duration=paced(5)),
    )  # fmt: skip
    assert ran.result.status == "done", ran.result.error
    crashes = ran.of_kind("app.crashed", "agent:weak")
    assert crashes[0].data["exit"] == "exit code 3"
    assert crashes[0].data["error"] == "gone"
    assert ran.log("weak").count("up") >= 2


async def test_a_program_that_can_not_be_run_ends_the_run_as_bad_input(
    emulate: Emulate, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    ran = await emulate(
        Topology([Node("broken", command=["./script"], networks=[SLOW])]),
        Scenario(duration=paced(30)),
    )
    assert ran.result.exit_code == 2
    assert ran.result.error is not None
    assert "Node 'broken'" in str(ran.result.error)
    assert "can't run './script': No such file" in str(ran.result.error)
    assert ran.result.report is not None


async def test_what_an_app_leaves_running_ends_with_its_main_process(emulate: Emulate) -> None:
    # The helper is a daemon with a session of its own that holds a port and the app's standard streams.
    helper = (
        "import socket,time; s=socket.create_server(('',9000)); print('helper up',flush=True); time.sleep(99)"
    )
    main = python(
        "import subprocess,sys,time\n"
        f"subprocess.Popen([sys.executable,'-c',{helper!r}],start_new_session=True)\n"
        "time.sleep(1.5); sys.exit(5)"
    )
    crowd = ["sh", "-c", "sleep 100 & sleep 100 & exit 0"]
    look = python(
        "import os,time\ntime.sleep(2.5)\n"
        "print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit())[-1]==os.getpid())"
    )
    ran = await emulate(
        Topology([
            Node("main", command=main, networks=[SLOW]),
            Node("daemon", command=crowd, networks=[SLOW]),
            Node("stopped", command=["sh", "-c", f"setsid sleep 100 & {shlex.join(look)}"], networks=[SLOW]),
        ]),
        Scenario(duration=paced(6), events=[at(paced(1)).stop("stopped"), at(paced(2)).start("stopped")]),
    )  # fmt: skip
    crashes = ran.of_kind("app.crashed", "agent:main")
    assert len(crashes) >= 2
    assert all((each.data["exit"], each.data["killed"]) == ("exit code 5", 1) for each in crashes)
    assert "Address already in use" not in "".join(ran.log("main"))
    assert ran.log("main").count("helper up") >= 2
    (over,) = ran.of_kind("app.exited", "agent:daemon")
    assert (over.data["asked"], over.data["killed"]) == (False, 2)
    asked = [event.data["asked"] for event in ran.of_kind("app.exited", "agent:stopped")]
    assert asked[0], "a stop reaches also what has a session of its own"
    assert ran.log("stopped") == ["True"]


async def test_commands_and_child_processes_report_metrics(emulate: Emulate, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("from wotemu.app import write_metric; write_metric('frames', 3)")
    (tmp_path / "thing.py").write_text(
        "import multiprocessing as m\n"
        "from wotemu.app import wait_node, write_metric\n"
        "async def app(wot, conf, loop):\n"
        " for method in ('fork', 'spawn', 'forkserver'):\n"
        "  m.get_context(method).Process(target=write_metric, args=(method, 1)).start()\n"
        "async def lost(wot, conf, loop):\n"
        " await wait_node(conf, 'script')\n"
    )
    ran = await emulate(
        Topology([
            Node("script", command=[sys.executable, "script.py"], networks=[SLOW]),
            Node("thing", NodeApp("thing.py"), networks=[SLOW]),
            Node("lost", NodeApp("thing.py:lost"), networks=[SLOW]),
        ]),
        Scenario(duration=paced(7)),
    )  # fmt: skip
    rows = (
        pl.read_parquet(ran.result.run_dir / "tables" / "app.parquet").select("node", "key", "value").rows()
    )
    assert sorted(rows) == [
        ("script", "frames", 3.0),
        *(("thing", method, 1.0) for method in ("fork", "forkserver", "spawn")),
    ]
    (waits,) = ran.of_kind("app.waiting")
    assert waits.source == "agent:lost"
    assert waits.data["what"] == "script:9090"


async def test_interactions_of_child_processes_and_commands_are_recorded(
    emulate: Emulate, tmp_path: Path
) -> None:
    (tmp_path / "apps.py").write_text(
        "import asyncio, multiprocessing as m\n"
        "from wotemu.app import consume_from_catalogue, wait_node\n"
        "async def consume(wot, port):\n"
        " try: return await consume_from_catalogue(wot, port, 'sensor', 'urn:wotemu:sensor')\n"
        " except Exception: return await asyncio.sleep(0.2)\n"
        "def work(port):\n"
        " async def go():\n"
        "  from wotpy.wot.servient import Servient\n"
        "  from wotpy.protocols.http.client import HTTPClient\n"
        "  wot = await Servient(catalogue_port=None, clients=[HTTPClient()]).start()\n"
        "  while not (thing := await consume(wot, port)): pass\n"
        "  for _ in range(5): await thing.properties['value'].read()\n"
        " asyncio.run(go())\n"
        "async def app(wot, conf, loop, method):\n"
        " await wait_node(conf, 'sensor', ['urn:wotemu:sensor'])\n"
        " m.get_context(method).Process(target=work, args=(conf.port_catalogue,)).start()\n"
        " await loop.create_future()\n"
    )
    methods = ("fork", "spawn", "forkserver")
    script = python("import apps; apps.work(9090)  # on wotpy")
    ran = await emulate(
        Topology([
            Node("sensor", NodeApp("sensor", http=True), networks=[SLOW]),
            *(Node(each, NodeApp("apps.py", params={"method": each}), networks=[SLOW]) for each in methods),
            Node("command", command=script, networks=[SLOW]),
            Node("isolated", command=[script[0], "-E", *script[1:]], networks=[SLOW]),
        ]),
        Scenario(duration=paced(8)),
    )  # fmt: skip
    rows = pl.read_parquet(ran.result.run_dir / "tables" / "interactions.parquet")
    (unmeasured,) = ran.of_kind("app.unmeasured")
    assert (unmeasured.source, unmeasured.data["why"]) == (
        "agent:isolated",
        "Python ignores PYTHONPATH with -E",
    )
    reads = rows.filter((pl.col("role") == "consumer") & (pl.col("status") == "ok"))
    assert dict(reads.group_by("node").len().rows()) == dict.fromkeys((*methods, "command"), 5)
    assert reads["thing"].unique().to_list() == ["urn:wotemu:sensor"]
    assert reads["binding"].unique().to_list() == ["http"]


async def test_an_app_runs_as_it_would_in_a_shell(emulate: Emulate, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "data.csv").write_text("7\n")
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "added.py").write_text("")
    look = (
        "import sys,time,locale,resource\n"
        "def look():\n"
        " print(open('conf/data.csv').read().strip(), time.strftime('%Z'), sys.flags.dont_write_bytecode,\n"
        "  locale.getencoding(), sys.flags.utf8_mode, flush=True)\n"
        " print(resource.getrlimit(resource.RLIMIT_NOFILE), flush=True)\n"
        " import added\n"
        " print('found', flush=True)\n"
    )
    (tmp_path / "script.py").write_text(f"{look}look(); time.sleep(100)")
    (tmp_path / "thing.py").write_text(f"{look}async def app(wot, conf, loop): look()")
    env = {
        "TZ": "JST-9", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tmp_path / "extra"), "LC_ALL": "C",
        "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    ran = await emulate(
        Topology([
            Node("script", command=[sys.executable, "script.py"], env=env, networks=[SLOW]),
            Node("thing", NodeApp("thing.py"), env=env, networks=[SLOW]),
            Node("shell", command=["sh", "-c", "ulimit -n; sleep 100"], networks=[SLOW]),
        ]),
        Scenario(duration=paced(3)),
    )  # fmt: skip
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert ran.log("script")[0].startswith("7 JST 1 ")
    assert ran.log("thing") == ran.log("script")
    assert ran.log("shell") == [str(soft)]


async def test_a_limit_is_enforced_or_reported(emulate: Emulate) -> None:
    burn = python("while True: pass")
    node = Node(
        "busy", command=burn, networks=[SLOW], resources=NodeResources(cpu_limit=0.2, mem_limit="64M")
    )
    ran = await emulate(Topology([node]), Scenario(duration=paced(4)))
    manifest = json.loads((ran.result.run_dir / "manifest.json").read_text())
    samples = pl.read_parquet(ran.result.run_dir / "tables" / "system.parquet")
    if manifest["unenforced"]:
        assert "busy" in manifest["unenforced"][0]
    else:
        assert samples["cpu_limit_percent"].unique().to_list() == [20.0]
        assert samples["mem_limit_bytes"].unique().to_list() == [64 * 1024 * 1024]
        assert samples["throttled_periods"].sum() > 0
        # A sample's second may hold a period more than its share, and the time of a kernel's tick.
        assert samples["cpu_percent"].median() <= 32  # type: ignore[operator]


async def test_flows_name_both_ends_and_count_every_packet(emulate: Emulate) -> None:
    send = python(
        "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
        "for _ in range(50): s.sendto(b'x'*100,('b',7000)); time.sleep(.005)"
    )
    ran = await emulate(
        Topology([Node("a", command=send, networks=[SLOW]), Node("b", command=IDLE, networks=[SLOW])]),
        Scenario(duration=paced(3)),
    )
    flows = pl.read_parquet(ran.result.run_dir / "tables" / "flows.parquet")
    udp = flows.filter((pl.col("transport") == "udp") & (pl.col("dport") == 7000))
    for direction, node in (("up", "a"), ("down", "b")):
        rows = udp.filter((pl.col("direction") == direction) & (pl.col("node") == node))
        assert rows["packets"].sum() == 50
        assert set(rows["src"]) == {"a"}
        assert set(rows["dst"]) == {"b"}
        assert rows["bytes"].sum() == 50 * (100 + 8 + 20 + 14)


async def test_what_an_app_sends_on_parting_still_crosses_the_network(emulate: Emulate) -> None:
    part = python(
        "import signal,socket,sys,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
        "def leave(*_):\n for _ in range(40): s.sendto(b'x'*100,('b',7000)); time.sleep(.005)\n sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave)\nprint('up')\ntime.sleep(100)"
    )
    ran = await emulate(
        Topology([Node("a", command=part, networks=[SLOW]), Node("b", command=IDLE, networks=[SLOW])]),
        Scenario(duration=paced(2)),
    )
    assert ran.log("a") == ["up"]
    flows = pl.read_parquet(ran.result.run_dir / "tables" / "flows.parquet")
    udp = flows.filter((pl.col("dport") == 7000) & (pl.col("direction") == "up"))
    assert udp["packets"].sum() == 40
    assert not ran.result.losses


async def test_a_wot_app_is_measured_on_both_sides_over_its_brokers_network(emulate: Emulate) -> None:
    passwords = {"field": "s3cret-of-field", "desk": "s3cret-of-desk"}
    broker = Broker("mqtt", [SLOW], users=passwords)
    field, desk = passwords.items()
    sensor = NodeApp("sensor", http=True, mqtt=True, wotpy_fixes=("td-cost",), credentials=field)
    found = {"servient_host": "sensor", "thing_id": "urn:wotemu:sensor"}
    reader = NodeApp("reader", params=found, credentials=desk)
    intruder = NodeApp("reader", params=found, credentials=("desk", "s3cret-guessed"))
    ran = await emulate(
        Topology([
            Node("sensor", sensor, networks=[SLOW], broker=broker),
            Node("reader", reader, networks=[Link(SLOW, up=NetworkConditions(latency="10ms"))]),
            Node("intruder", intruder, networks=[SLOW]),
        ]),
        Scenario(duration=paced(6)),
    )  # fmt: skip
    assert ran.result.status == "done", ran.result.error
    refused = pl.read_parquet(ran.result.run_dir / "tables" / "interactions.parquet").filter(
        (pl.col("node") == "intruder") & (pl.col("stage") == "request")
    )
    assert {*refused["status"]} <= {"failed", "unfinished"}
    assert {"ConnectError: Connection rejected by broker"} <= {*refused["error"]}
    left = b"".join(path.read_bytes() for path in ran.result.run_dir.rglob("*") if path.is_file())
    assert b"s3cret" not in left
    rows = pl.read_parquet(ran.result.run_dir / "tables" / "interactions.parquet").filter(
        (pl.col("op") == "readproperty") & (pl.col("status") == "ok")
    )
    rows = rows.filter(pl.col("node") != "intruder")
    consumer, producer = (rows.filter(pl.col("role") == role) for role in ("consumer", "producer"))
    assert len(consumer) > 0
    assert len(producer) >= len(consumer)
    assert set(consumer["binding"]) <= {"http", "mqtt"}
    assert {*consumer.filter(pl.col("binding") == "mqtt")["peer"]} == {"mqtt"}, "logged in at the broker"
    # TCP's handshake and the request: two round trips of 20 + 10 up and 20 back.
    assert consumer["duration"].min() >= 2 * 0.050  # type: ignore[operator]
    assert ran.of_kind("broker.ready")
    figures = pl.read_parquet(ran.result.run_dir / "tables" / "broker.parquet")
    assert figures["key"].str.starts_with("$SYS/").all()
