"""`wotemu compose`: a file that is the same whenever it is written, and that Docker takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from wotemu.cli import main
from wotemu.topology.resources import DEFAULT_PIDS
from wotemu_runtime.engines.swarm import plain_services
from wotemu_runtime.engines.swarm.requirements import AGENT_PIDS
from wotemu_runtime.engines.swarm.yaml_text import to_yaml

PIDS = DEFAULT_PIDS + AGENT_PIDS
TOPOLOGY = """
from wotemu.scenario import Scenario, at
from wotemu.topology.models import *

roof = Placement(constraints=["node.labels.site==roof"], preferences=["spread=node.labels.rack"])
field = Network("field", conditions=NetworkConditions.WIFI, placement=roof)
hub = Broker("hub", [field])
sensor = Node("sensor", NodeApp("sensor", mqtt=True), networks=[field], broker=hub, scale=2,
              resources=NodeResources(cpu_limit=0.5, mem_limit="150M", mem_reservation="50M"))
other = Node("other", command=["sh", "-c", "echo $HOME"], env={"PRICE": "5$"}, networks=[field],
             image="mine:1")

db = Service("db", "postgres:16", env={"PASSWORD": "5$"}, networks=[field], placement=roof,
             resources=NodeResources(mem_reservation="256M"))
cache = Service("cache", command=["redis-server", "$HOME"])
user = Node("user", command=["sh", "-c", "true"], networks=[field], services=[db, cache],
            placement=Placement(max_per_machine=1))

def topology():
    return Topology([sensor, other, user])

def limited():
    return Topology([Node("pi", command=["true"], networks=[field], resources=NodeResources.RASPBERRY_PI_4B)])

def small():
    return Topology([other], docker_proxy=False)

def scenario():
    return Scenario(duration="5s", events=[at("1s").set(field, latency="50ms")])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "topology"
    root.mkdir()
    (root / "deployment.py").write_text(TOPOLOGY)
    return root


def compose(folder: Path, *arguments: str) -> Path:
    """The file that the command wrote."""
    output = folder / "docker-compose.yml"
    command = ["compose", "--path", str(folder / "deployment.py"), "--output", str(output), *arguments]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    return output


def everything(folder: Path) -> dict[str, bytes]:
    """All files that the command wrote, but for the password."""
    written = [folder / "docker-compose.yml", *(folder / ".docker-compose.wotemu").iterdir()]
    return {path.name: path.read_bytes() for path in written if path.name != "bus-password"}


@pytest.fixture
def document(folder: Path) -> Any:
    return yaml.safe_load(compose(folder).read_text())


def test_it_is_the_same_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    """Again, and somewhere else; the password is made once, for its owner's eyes."""
    compose(folder)
    first, password = everything(folder), folder / ".docker-compose.wotemu" / "bus-password"
    secret = password.read_text()
    compose(folder)
    assert everything(folder) == first
    assert password.read_text() == secret
    assert len(secret) >= 32
    assert password.stat().st_mode & 0o777 == 0o600
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(folder / "deployment.py", copy)
    compose(copy)
    assert everything(copy) == first


def test_what_changed_has_another_name(folder: Path) -> None:
    """Swarm's configs can't be changed: new content is a new config, and the old one's file goes."""
    compose(folder)
    before = set(everything(folder))
    (folder / "deployment.py").write_text(TOPOLOGY.replace("echo", "printf"))
    compose(folder)
    after = set(everything(folder))
    gone, new = before - after, after - before
    changed = {"agent-other", "agent-user", "code", "coordinator"}  # the others need no code of the folder
    assert {re.sub("-[0-9a-f]{12}$", "", name) for name in gone} == changed
    assert {re.sub("-[0-9a-f]{12}$", "", name) for name in new} == changed


def test_every_role_is_a_service(document: Any) -> None:
    """With what it was asked for, in compose's words."""
    services = document["services"]
    own = {"bus", "coordinator", "door-db", "gw-field", "proxy"}
    assert set(services) == {*own, "cache", "db", "hub", "other", "sensor", "user"}
    assert services["sensor"]["deploy"]["replicas"] == 2
    assert services["sensor"]["deploy"]["resources"] == {
        "limits": {"cpus": "0.5", "memory": f"{150 * 1024**2}b", "pids": PIDS},
        "reservations": {"memory": f"{50 * 1024**2}b"},
    }
    assert services["sensor"]["hostname"] == "sensor-{{.Task.Slot}}"
    assert services["other"]["image"] == "mine:1"
    assert services["hub"]["image"] == "${WOTEMU_IMAGE:-wotemu:latest}"
    assert services["gw-field"]["networks"]["field"] == {"aliases": ["gateway-of-field"]}
    assert all(service["deploy"]["endpoint_mode"] == "dnsrr" for service in services.values())


def test_a_plain_service_is_as_its_image_has_it(document: Any) -> None:
    """Alone with its door, or with the nodes that name it; it has nothing of WoTemu's."""
    services, networks = document["services"], document["networks"]
    assert services["db"]["image"] == "postgres:16"
    assert services["db"]["environment"]["PASSWORD"] == "5$$"
    assert services["db"]["networks"] == {"service-db": {"aliases": ["server-of-db"]}}
    assert set(services["door-db"]["networks"]) == {"control", "field", "service-db"}
    assert services["cache"]["entrypoint"] == ["redis-server", "$$HOME"]
    assert services["cache"]["networks"] == {"service-cache": {"aliases": ["cache"]}}
    assert "service-cache" in services["user"]["networks"]
    assert "service-db" not in services["user"]["networks"]
    assert networks["service-db"]["internal"]
    for name in ("db", "cache"):
        assert not services[name].keys() & {"configs", "secrets", "sysctls", "user", "volumes"}
    assert "healthcheck" not in services["db"]


def test_everything_is_placed_as_it_asks(document: Any) -> None:
    """And what asks for nothing may run anywhere; no platform is asked for."""
    roof = {"constraints": ["node.labels.site==roof"], "preferences": [{"spread": "node.labels.rack"}]}
    placements = {name: each["deploy"].get("placement") for name, each in document["services"].items()}
    assert placements["gw-field"] == placements["db"] == placements["door-db"] == roof
    assert placements["user"] == {"max_replicas_per_node": 1}
    assert placements["sensor"] is placements["hub"] is None
    reserved = document["services"]["db"]["deploy"]["resources"]
    assert reserved == {"limits": {"pids": PIDS}, "reservations": {"memory": f"{256 * 1024**2}b"}}


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_writes_the_same_bytes(folder: Path, seed: str) -> None:
    """Nothing of it depends on the order of a set."""
    compose(folder)
    first = everything(folder)
    shutil.rmtree(folder / ".docker-compose.wotemu")
    again = [sys.executable, "-m", "wotemu.cli", "compose", "--path", "deployment.py"]
    again += ["--output", "docker-compose.yml"]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    subprocess.run(again, cwd=folder, env=environment, check=True, capture_output=True)
    assert everything(folder) == first


def test_it_is_secure_by_default(document: Any) -> None:
    """No role has a capability that it was not given; one has Docker's socket; apps can't read the secret."""
    services = document["services"]
    assert all(service["cap_drop"] == ["ALL"] for service in services.values())
    assert not any("privileged" in service for service in services.values())
    volumes = {name: each["volumes"] for name, each in services.items() if "volumes" in each}
    assert {name: [volume["type"] for volume in each] for name, each in volumes.items()} == {
        "bus": ["volume"],
        "proxy": ["bind"],
    }
    assert [name for name, service in services.items() if "ports" in service] == ["bus"]
    assert services["db"]["cap_add"] == services["cache"]["cap_add"] == list(plain_services.CAPABILITIES)
    assert services["door-db"]["cap_add"] == ["CAP_NET_ADMIN"]
    for name in ("bus", "coordinator", "proxy"):
        assert "cap_add" not in services[name]
    for name in ("sensor", "other", "hub"):
        assert [secret["mode"] for secret in services[name]["secrets"]] == [0o400]
    assert document["networks"]["field"]["internal"]
    outward = [name for name, network in document["networks"].items() if not network["internal"]]
    assert outward == ["outside"]
    assert [name for name, each in services.items() if "outside" in each["networks"]] == ["bus"]


def test_nothing_is_taken_for_a_variable(document: Any, folder: Path) -> None:
    """Dollars of commands and environments stay: they are in files, and what is not is escaped."""
    text = (folder / "docker-compose.yml").read_text()
    assert set(re.findall(r"\$+\{?\w+", text)) == {"${WOTEMU_IMAGE", "${WOTEMU_DOCKER_SOCKET", "$$HOME"}
    (orders,) = (folder / ".docker-compose.wotemu").glob("agent-other-*")
    assert json.loads(orders.read_text())["data"]["program"]["command"] == ["sh", "-c", "echo $HOME"]


def test_another_function_and_no_proxy(folder: Path) -> None:
    """`--func` chooses the topology, which may leave the proxy out."""
    document = yaml.safe_load(compose(folder, "--func", "small").read_text())
    assert set(document["services"]) == {"bus", "coordinator", "gw-field", "other"}


def test_limiters_come_with_devices(folder: Path) -> None:
    """One on each machine, which has Docker's socket there and nothing else; its ratings last."""
    document = yaml.safe_load(compose(folder, "--func", "limited").read_text())
    limiters = document["services"]["limits"]
    assert limiters["deploy"]["mode"] == "global"
    assert "replicas" not in limiters["deploy"]
    assert (limiters["cap_drop"], limiters["read_only"], limiters["user"]) == (["ALL"], True, "0:0")
    assert "cap_add" not in limiters
    assert set(limiters["networks"]) == {"control"}
    socket, ratings = limiters["volumes"]
    assert (socket["source"], socket["target"]) == (
        "${WOTEMU_DOCKER_SOCKET:-/var/run/docker.sock}",
        "/var/run/docker.sock",
    )
    assert document["volumes"][ratings["source"]] == {"name": "wotemu-calibration"}
    assert "cpus" not in document["services"]["pi"]["deploy"]["resources"]["limits"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--path", "nowhere.py"], "there is no such file"),
        (["--path", "{file}", "--func", "nothing"], "no function nothing()"),
        (["--path", "{file}", "--output", "/proc/x/y.yml"], "can't be written"),
    ],
)
def test_mistakes_are_told(folder: Path, arguments: list[str], message: str) -> None:
    """With what is wrong, and exit code 2."""
    command = ["compose", *(a.format(file=folder / "deployment.py") for a in arguments)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": [1, "x", {"c": "d", "e": []}, [1, 2]], "f": {}}, "on": True, "n": None},
        {"quoted": 'a "b": {c} # d', "yes": "no", "number": "08", "empty": "", "lines": "a\nb", "é": "ü"},
    ],
)
def test_yaml_is_read_back(value: Any) -> None:
    """What is written is what a reader of YAML reads."""
    assert yaml.safe_load(to_yaml(value)) == value
