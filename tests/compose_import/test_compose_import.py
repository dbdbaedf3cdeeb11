"""A compose file becomes a deployment that loads, and everything else of it is named with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from wotemu import NodeResources, Topology, load
from wotemu.cli import main
from wotemu.compose_import.compose_import import ComposeImport, import_compose
from wotemu.errors import LoadError
from wotemu.forms.document import parse

FARM = """\
name: farm
x-common: &common
  restart: always
  environment: &env {LOG: info, DEBUG: true}
services:
  sensor:
    <<: *common
    build: ./sensor
    command: python3 -c "import time; time.sleep(${T:-60})"
    networks: [field, back]
    deploy: {replicas: 3, resources: {limits: {cpus: "0.5", memory: 128M}, reservations: {memory: 64mb}}}
    depends_on: [db]
  reader:
    image: python:3.12
    entrypoint: [sh, -c]
    command: ["echo $$HOME"]
    environment: {<<: *env, LOG: debug}
    networks: {back: {aliases: [x]}}
    ports: ["80:80"]
    mem_limit: 1g
    cpus: 2
  db:
    image: postgres:16
    healthcheck: {test: [CMD, pg_isready]}
    networks: [back]
networks:
  field: {driver: bridge}
  back:
secrets: {key: {file: key}}
"""


def imported(text: str) -> ComposeImport:
    return import_compose(parse(text, "compose.yml", merge_keys=True))


def loaded(text: str, folder: Path) -> Topology:
    file = folder / "deployment.py"
    file.write_text(imported(text).text)
    return load(file).topology


def service(**given: Any) -> str:
    """A file with one service, which has a command unless another is given."""
    lines = [f"    {key}: {value}\n" for key, value in {"command": "run", **given}.items()]
    return "services:\n  one:\n" + "".join(lines)


def reasons(text: str) -> dict[str, str]:
    """Reasons by path in the document."""
    return {each.place.path: each.reason for each in imported(text).left_out}


def test_services_with_a_command_become_nodes_with_what_they_have(tmp_path: Path) -> None:
    sensor, reader = loaded(FARM, tmp_path).nodes
    assert (sensor.name, sensor.scale) == ("sensor", 3)
    assert sensor.command == ("python3", "-c", "import time; time.sleep(60)")
    assert [link.network.name for link in sensor.links] == ["field", "back"]
    assert sensor.env == {"LOG": "info", "DEBUG": "true"}
    assert sensor.resources == NodeResources(cpu_limit=0.5, mem_limit="128M", mem_reservation="64M")
    assert reader.command == ("sh", "-c", "echo $HOME")
    assert reader.env == {"LOG": "debug", "DEBUG": "true"}
    assert reader.resources == NodeResources(cpu_limit=2, mem_limit="1G")


def test_an_image_alone_becomes_a_service_of_the_nodes_that_share_a_network_with_it(tmp_path: Path) -> None:
    topology = loaded(FARM, tmp_path)
    (db,) = topology.services
    assert (db.name, db.image) == ("db", "postgres:16")
    assert [link.network.name for link in db.links] == ["back"]
    assert all(node.services == (db,) for node in topology.nodes)
    assert "replace PROGRAM_OF_THE_IMAGE" in reasons(FARM)["services.db"]


BROKERS = """\
services:
  sensor: {command: run, networks: [field], depends_on: [mqtt]}
  phone: {image: reader, networks: [field, back], command: read, env_file: .env}
  mqtt:
    image: registry.example:5000/library/eclipse-mosquitto:2.0@sha256:0
    command: mosquitto -c /mosquitto-no-auth.conf
    networks: [field]
    volumes: ["./mosquitto.conf:/mosquitto/config/mosquitto.conf"]
  second: {image: emqx/emqx, networks: [back]}
  third: {image: "hivemq/hivemq4:4.28", networks: [field]}
  bridge: {command: run, networks: [field], extends: {file: x.yml, service: y}}
networks: {field: , back: }
"""


def test_an_image_of_an_mqtt_broker_becomes_the_broker_of_the_nodes_on_its_network(tmp_path: Path) -> None:
    topology = loaded(BROKERS, tmp_path)
    (mqtt,) = topology.brokers
    assert (mqtt.name, [link.network.name for link in mqtt.links]) == ("mqtt", ["field"])
    assert all(node.broker == mqtt for node in topology.nodes)
    # A node has one broker: the others stay what their images would be otherwise.
    assert sorted((each.name, each.image) for each in topology.services) == [
        ("second", "emqx/emqx"),
        ("third", "hivemq/hivemq4:4.28"),
    ]
    assert imported(BROKERS).brokers == ("mqtt",)
    found = reasons(BROKERS)
    assert "WoTemu's own MQTT broker, at port 1883" in found["services.mqtt.image"]
    assert "all nodes start together" in found["services.sensor.depends_on"]
    assert "write its variables into env" in found["services.phone.env_file"]
    assert "write what it has here" in found["services.bridge.extends"]
    lines = {each.place.path: each.place.line for each in imported(BROKERS).left_out}
    assert lines["services.bridge.extends"] == 11


@pytest.mark.parametrize(
    "image",
    ["mosquitto-exporter", "a/mosquitto-tools", "rabbitmq:3", "emqx-x/other", "emqx-exporter", "x/not-emqx"],
)
def test_other_images_are_no_brokers(image: str) -> None:
    text = f"services:\n  a: {{image: '{image}'}}\n  b: {{command: run}}\n"
    assert imported(text).brokers == ()


def test_a_broker_alone_is_a_node() -> None:
    assert imported("services:\n  a: {image: eclipse-mosquitto}\n").nodes == ("a",)
    built = "services:\n  a: {image: eclipse-mosquitto, build: .}\n  b: {command: run}\n"
    assert imported(built).brokers == ()


def test_images_that_no_node_reaches_become_nodes(tmp_path: Path) -> None:
    topology = loaded("services:\n  a: {image: x}\n  b: {image: y}\n", tmp_path)
    assert [node.name for node in topology.nodes] == ["a", "b"]
    assert not topology.services


def test_what_is_left_out_is_named_with_its_place_in_the_order_of_the_file() -> None:
    left = imported(FARM).left_out
    assert [str(each.place) for each in left] == [
        "compose.yml:3:3, services.sensor.restart",
        "compose.yml:8:5, services.sensor.build",
        "compose.yml:12:5, services.sensor.depends_on",
        "compose.yml:14:5, services.reader.image",
        "compose.yml:18:23, services.reader.networks.back.aliases",
        "compose.yml:19:5, services.reader.ports",
        "compose.yml:22:3, services.db",
        "compose.yml:24:5, services.db.healthcheck",
        "compose.yml:27:11, networks.field.driver",
        "compose.yml:29:1, secrets",
    ]
    text = imported(FARM).text
    assert all(f"# - {each.place!s}: {each.reason}\n" in text for each in left)


def test_variables_have_their_defaults_or_are_named() -> None:
    assert '"a", "b"' in imported(service(command="'${A:-a} ${B-b}'")).text
    assert '"a $${B:-b}"'.replace("$$", "$") in imported(service(command="['${A:-${C-a}} $${B:-b}']")).text
    found = reasons(service(command='"$A ${B} ${C:?no}"', environment="[TOKEN]"))
    assert "no default" in found["services.one.command"]
    assert "TOKEN" in found["services.one.environment[0]"]


def test_names_that_a_host_can_not_have_are_changed_and_said(tmp_path: Path) -> None:
    text = "services:\n" + "".join(
        f"  {name}: {{command: [run], scale: {scale}}}\n"
        for name, scale in [("a.b", 1), ("a-b", 1), ("12", 1), ("localhost", 1), ("c", 2), ("c-1", 1)]
    )
    names = [node.name for node in loaded(text, tmp_path).nodes]
    assert names == ["a-b", "a-b-2x", "n-12", "n-localhost", "c", "c-1-2x"]
    changed = [each for each in imported(text).left_out if "its name is" in each.reason]
    assert len(changed) == 5


@pytest.mark.parametrize(
    "character", ['"', "'", "\\", "\n", "\r", "\u2028", "\x7f", "{", "#", "é", "\U0001f600"]
)
def test_text_of_the_file_stays_text(tmp_path: Path, character: str) -> None:
    value = f'a{character}"""{character}\\'
    quoted = json.dumps(value, ensure_ascii=character < "\uffff")  # YAML has no surrogate pairs
    (node,) = loaded(
        service(command=f"[run, {quoted}]", environment=f"{{V: {quoted}}}", **{quoted: 1, "image": quoted}),
        tmp_path,
    ).nodes
    assert node.command == ("run", value)
    assert node.env == {"V": value}


def test_no_networks_and_no_replicas(tmp_path: Path) -> None:
    text = service(network_mode="none") + "  two: {command: run, deploy: {replicas: 0}}\n"
    (node,) = loaded(text, tmp_path).nodes
    assert node.links == ()
    assert "no replicas" in reasons(text)["services.two"]


def test_a_limit_that_no_process_fits_in_is_left_out(tmp_path: Path) -> None:
    (node,) = loaded(service(mem_limit="1m"), tmp_path).nodes
    assert node.resources is None
    assert "too little" in reasons(service(mem_limit="1m"))["services.one"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "compose.yml:1:1"),
        ("services: {}", "compose.yml:1:1"),
        ("services: [a]", "compose.yml:1:11, services"),
        ("services: {a: }", "compose.yml:1:15, services.a"),
        ("services: {a: {command: run, deploy: {replicas: 0}}}", "compose.yml:1:11, services"),
        (service(networks="[felid]"), "compose.yml:4:16, services.one.networks[0]"),
        (service(scale="many"), "compose.yml:4:12, services.one.scale"),
        (service(scale="9999999"), "compose.yml:4:12, services.one.scale"),
        (service(mem_limit="much"), "compose.yml:4:16, services.one.mem_limit"),
        (service(cpus="-1"), "compose.yml:4:11, services.one.cpus"),
        (service(command="'a \"b'"), "compose.yml:3:14, services.one.command"),
        (service(environment="3"), "compose.yml:4:18, services.one.environment"),
        (service(command="!!python/object:os.system x"), "compose.yml:3:14, services.one.command"),
        (service(**{"<<": "3"}), "compose.yml:4:9, services.one.<<"),
    ],
)
def test_what_is_no_compose_file_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(LoadError) as caught:
        imported(text)
    assert caught.value.where == place


def test_merged_mappings_give_way_to_own_entries_and_to_earlier_ones() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\n"
    assert parse(text, "f", merge_keys=True).plain["c"] == {"x": 1, "y": 3, "z": 2}


def test_the_command_writes_a_deployment_that_plan_accepts_and_never_over_another(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text(FARM)
    argv = ["init", str(tmp_path / "farm"), "--from", str(tmp_path / "compose.yml")]
    done = CliRunner().invoke(main, argv)
    assert done.exit_code == 0, done.output
    assert "2 nodes, 1 service, 2 networks" in done.output
    assert "compose.yml:19:5, services.reader.ports: nodes reach" in done.output
    file = tmp_path / "farm" / "deployment.py"
    planned = CliRunner().invoke(main, ["plan", str(file)])
    assert planned.exit_code == 0, planned.output
    file.write_text("mine")
    assert CliRunner().invoke(main, argv).exit_code == 2
    assert file.read_text() == "mine"
