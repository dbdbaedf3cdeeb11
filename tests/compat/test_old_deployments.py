"""Deployments in the words of WoTemu 0.6 load, with a warning for each, or are refused with what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from wotemu import NetworkConditions, Ports
from wotemu.compat import OldWordWarning
from wotemu.deployment_file import Deployment, load
from wotemu.errors import InputError, LoadError, TopologyError
from wotemu.scenario import Resolver
from wotemu_runtime.planning.planner import make_plan

HEAD = """
from wotemu.topology.models import *
from wotemu.topology.models import TopologyPorts, TopologyRedis, TopologyDockerProxy
from wotemu.compat import RestartPolicy

def topology():
    net, other = Network("net"), Network("other")
    app = NodeApp("clock", http=True)
"""

pytestmark = pytest.mark.filterwarnings("always::wotemu.compat.OldWordWarning")


def loaded(tmp_path: Path, body: str) -> Deployment:
    """The deployment of a file whose function ``topology`` has this body."""
    file = tmp_path / "old.py"
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    file.write_text(HEAD + lines)
    with pytest.warns(OldWordWarning) if "OK" not in body else pytest.MonkeyPatch.context():
        return load(file)


def test_arguments_by_place_as_in_0_6(tmp_path: Path) -> None:
    deployment = loaded(
        tmp_path,
        'broker = Broker("broker", [net, other])\n'
        'app = NodeApp("clock", True, False, True)\n'
        'res = NodeResources(0.5, "64M")\n'
        'node = Node("clock", app, [net, other], broker, other, None, res, 2)\n'
        "return Topology([node], TopologyPorts(9091))",
    )
    (node,) = deployment.topology.nodes
    assert [link.network.name for link in node.links] == ["net", "other"]
    assert node.app is not None
    assert (node.app.http, node.app.ws, node.app.mqtt, node.scale) == (True, False, True, 2)
    assert node.resources is not None
    assert node.resources.cpu_limit == 0.5
    assert deployment.topology.ports == Ports(catalogue=9091, http=80, ws=81)
    assert node.broker_host == "broker.other"
    assert [text.partition(": ")[0] for text in deployment.warnings] == [
        f"old.py:{n}" for n in (10, 11, 12, 13, 13)
    ]


def test_the_broker_is_reached_over_its_network(tmp_path: Path) -> None:
    deployment = loaded(
        tmp_path,
        'broker = Broker("broker", [net, other])\n'
        'node = Node("clock", NodeApp("clock", mqtt=True), [net, other], broker, other)\n'
        "return Topology([node])",
    )
    plan = make_plan(
        deployment.topology,
        Resolver(deployment.topology, deployment.scenario).timeline,
        stack="old",
        root=tmp_path,
        on_this_machine=False,
    )
    (app,) = [replica.app for replica in plan.replicas if replica.app is not None]
    assert app.conf.mqtt_url == "mqtt://broker.other:1883"


def test_none_is_left_out(tmp_path: Path) -> None:
    deployment = loaded(
        tmp_path,
        'app = NodeApp("clock", http=True, params=None)\n'
        'field = Network("field", conditions=None)\n'
        'node = Node("clock", app, networks=[field], scale=None, services=None, args_compose=None)\n'
        "return Topology([node], ports=None, redis=None, docker_proxy=None, brokers=None)",
    )
    (node,) = deployment.topology.nodes
    assert (node.scale, node.services, node.links[0].network.conditions) == (1, (), NetworkConditions())
    assert len(deployment.warnings) == 7


def test_services_of_0_6(tmp_path: Path) -> None:
    deployment = loaded(
        tmp_path,
        'db = Service("db", "mongo:4", restart_policy=RestartPolicy(condition="any"), labels={"a": "b"})\n'
        'node = Node("clock", app, networks=[net])\n'
        "node.link_service(db)\n"
        "return Topology([node], redis=TopologyRedis(False, redis_url='redis://bus'), "
        "docker_proxy=TopologyDockerProxy(enabled=False))",
    )
    (node,) = deployment.topology.nodes
    assert [service.name for service in node.services] == ["db"]
    assert (deployment.topology.redis, deployment.topology.docker_proxy) == ("redis://bus", False)
    assert "link_service() is now Node(services=[...])" in deployment.warnings[2]


def test_built_in_apps_by_their_old_names(tmp_path: Path) -> None:
    deployment = loaded(
        tmp_path, 'return Topology([Node("clock", NodeApp("wotemu_clock", http=True), networks=[net])])'
    )
    assert deployment.topology.nodes[0].app is not None
    assert deployment.topology.nodes[0].app.path == "clock"
    assert deployment.warnings == ("old.py:9: NodeApp: 'wotemu_clock' is now 'clock'",)


def test_netem_becomes_conditions(tmp_path: Path) -> None:
    """With the units of 0.6: milliseconds and percent. What it ignored is ignored."""
    bucket = '\\"rate\\": \\"1mbit\\", \\"rate_latency\\": 50'
    both = '["{\\"latency\\": 20, \\"jitter\\": 5, \\"correlation\\": 25, ' + bucket + '}"]'
    deployment = loaded(
        tmp_path,
        f"nets = [Network('a', {both}), Network('b', netem=['{{\"latency\": 20}}'])]\n"
        'return Topology([Node("clock", app, networks=nets)])',
    )
    wanted = NetworkConditions(
        latency="20ms", jitter="5ms", jitter_correlation="25%", rate="1mbit", queue="50ms"
    )
    assert [network.conditions for network in deployment.topology.networks] == [wanted, NetworkConditions()]


def test_words_of_today_warn_of_nothing(tmp_path: Path) -> None:
    deployment = loaded(
        tmp_path,
        'field = Network("field", NetworkConditions.WIFI)\n'
        'return Topology([Node("clock", app, networks=[field])])  # OK',
    )
    assert deployment.warnings == ()


@pytest.mark.parametrize(
    ("line", "where", "hint"),
    [
        (
            'Node("a", app, [net], args_compose={"environment": {"A": "b"}})',
            "Node 'a', field 'args_compose'",
            "for environment: Node(env={...})",
        ),
        (
            'Network("n", args_compose_net={"driver": "x"})',
            "Network 'n', field 'args_compose_net'",
            "Network's own",
        ),
        (
            'Network("n", netem=["{\\"latencey\\": 1}"])',
            "Network 'n', field 'netem'",
            "did you mean 'latency'?",
        ),
        ('Network("n", netem=["nothing"])', "Network 'n', field 'netem'", "conditions=NetworkConditions"),
        ('Service("s", "i", mode="global")', "Service 's', field 'mode'", "several Services"),
        ("TopologyRedis(enabled=False)", "TopologyRedis, field 'redis_url'", "redis://HOST"),
        (
            'Topology([Node("a", app, networks=[net])], brokers=[Broker("b", [net])])',
            "Topology, field 'brokers'",
            "Node(broker=...)",
        ),
        ('NodeApp("https://example.org/app.py")', "NodeApp, field 'path'", "save it beside"),
    ],
)
def test_what_can_not_be_said_any_more(tmp_path: Path, line: str, where: str, hint: str) -> None:
    with pytest.raises(TopologyError) as caught:
        loaded(tmp_path, f"{line}  # OK")
    assert where in str(caught.value.where)
    assert "old.py, line 9" in str(caught.value.where)
    assert hint in str(caught.value.hint)


def test_a_docker_import_says_what_to_write(tmp_path: Path) -> None:
    file = tmp_path / "old.py"
    file.write_text("import docker.types\n")
    with pytest.raises(LoadError, match="docker") as caught:
        load(file)
    assert (
        caught.value.hint
        == "write `from wotemu.compat import RestartPolicy`; nothing else of docker is needed"
    )


def test_old_words_end_with_the_file(tmp_path: Path) -> None:
    """Elsewhere, and in the next file, nothing of them is left."""
    from wotemu.topology import models

    loaded(tmp_path, 'return Topology([Node("clock", app, [net])])')
    assert not hasattr(models, "TopologyPorts")
    assert not hasattr(models.Node, "link_service")
    with pytest.raises(InputError, match="None is not a whole number"):
        models.Node("a", models.NodeApp("clock"), networks=[models.Network("n")], scale=None)  # type: ignore[arg-type]


def test_the_network_of_a_broker_is_one_that_both_are_on() -> None:
    from wotemu import Broker, Network, Node, NodeApp

    one, other, third = Network("one"), Network("other"), Network("third")
    broker, app = Broker("broker", [one, other]), NodeApp("clock", mqtt=True)
    assert Node("a", app, networks=[one, other], broker=broker).broker_host == "broker"
    for networks, chosen, message in (
        ([one], other, "Node 'a' is not on Network 'other'"),
        ([one, third], third, "Broker 'broker' is not on Network 'third'"),
    ):
        with pytest.raises(TopologyError, match=message):
            Node("a", app, networks=networks, broker=broker, broker_network=chosen)
    with pytest.raises(TopologyError, match="it names no broker"):
        Node("a", NodeApp("clock"), networks=[one], broker_network=one)


def test_an_undecided_network_of_a_broker_is_warned_of() -> None:
    from wotemu import Broker, Network, Node, NodeApp, Scenario, Topology

    one, other = Network("one"), Network("other")
    broker, app = Broker("broker", [one, other]), NodeApp("clock", mqtt=True)
    undecided = Node("a", app, networks=[other, one], broker=broker)
    decided = Node("b", app, networks=[other, one], broker=broker, broker_network=one)
    warnings = Resolver(Topology([undecided, decided]), Scenario()).warnings
    assert warnings == [
        "a: MQTT to broker crosses other, the first of the networks that both share; "
        "Node(broker_network=...) chooses"
    ]


def test_an_mqtt_client_is_where_a_broker_can_be_reached(tmp_path: Path) -> None:
    """A consumer over MQTT needs no broker of its own, as in WoTPy: the forms of Things name it."""
    from wotemu import Broker, Network, Node, NodeApp, Scenario, Topology

    one, other = Network("one"), Network("other")
    nodes = [
        Node("clock", NodeApp("clock", mqtt=True), networks=[one], broker=Broker("broker", [one])),
        Node("near", NodeApp("clock"), networks=[one]),
        Node("far", NodeApp("clock"), networks=[other]),
    ]
    topology = Topology(nodes)
    timeline = Resolver(topology, Scenario()).timeline
    plan = make_plan(topology, timeline, stack="x", root=tmp_path, on_this_machine=False)
    clients = {replica.name: replica.app.mqtt_client for replica in plan.replicas if replica.app is not None}
    assert clients == {"clock": True, "near": True, "far": False}


def test_parameters_of_built_in_apps(tmp_path: Path) -> None:
    """JSON text becomes the value, ids of their Things are those of today, and null skips an action."""
    deployment = loaded(
        tmp_path,
        "import json\n"
        "things = [{'servient_host': 'clock.net', 'thing_id': 'urn:org:fundacionctic:thing:clock'}]\n"
        "store = NodeApp(BuiltinApps.MONGO_HISTORIAN, http=True,"
        " params={'observed_things': json.dumps(things)})\n"
        "call = NodeApp(BuiltinApps.CALLER, params={'servient_host': 'store', 'params':"
        " json.dumps({'get': {'buckets': 2}, 'list': None}), 'lambd': 5,"
        " 'thing_id': 'urn:org:fundacionctic:thing:historian'})\n"
        "return Topology([Node('store', store, networks=[net]), Node('user', call, networks=[net])])",
    )
    store, call = (node.app for node in deployment.topology.nodes)
    assert store is not None
    assert call is not None
    assert store.path == "historian"
    assert store.params == {
        "observed_things": [{"servient_host": "clock.net", "thing_id": "urn:wotemu:clock"}]
    }
    assert call.params == {
        "servient_host": "store",
        "thing_id": "urn:wotemu:historian",
        "params": {"get": {"buckets": 2}},
        "lambd": 5,
        "skip": ["list"],
    }
