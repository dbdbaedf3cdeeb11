"""The helpers that apps import work inside of WoTemu, and do no harm outside of it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import attrs
import pytest
from aiohttp import web
from wotpy.protocols.http.client import HTTPClient
from wotpy.protocols.http.server import HTTPServer
from wotpy.wot.servient import Servient
from wotpy.wot.wot import WoT

from wotemu.app import (
    Conf,
    NodeNotReadyError,
    Ports,
    ThingNotFoundError,
    catalogue,
    consume_from_catalogue,
    wait_node,
    waiting,
    write_metric,
)
from wotemu.app.catalogue import MAX_SINGLE_READS
from wotemu.app.metrics import connect_metrics
from wotemu.app.waiting import report_long_waits

from .lamp import HOST, LAMP, Expose


@pytest.fixture
def wot() -> Any:
    return WoT(Servient(hostname=HOST, catalogue_port=None, clients=[HTTPClient()]))


def conf(ports: Ports, **hosts: tuple[str, ...]) -> Conf:
    return Conf(node="n", replica="n-1", hostname="n-1", ports=ports, hosts=hosts)


def test_the_surroundings_are_values() -> None:
    one = conf(Ports(http=80), n=("n-1", "n-2"))
    assert Conf.from_dict(one.to_dict()) == one
    assert (one.port_http, one.port_ws, one.port_coap, one.port_mqtt, one.port_catalogue) == (
        *(80, 8081, 5683, 1883, 9090),
    )
    assert one.mqtt_url is one.broker_url is None
    assert one.replicas_of("n") == ("n-1", "n-2")
    assert one.replicas_of("elsewhere") == ("elsewhere",)


async def test_waiting_ends_once_the_node_has_the_thing(ports: Ports, expose: Expose) -> None:
    waiting = asyncio.create_task(wait_node(conf(ports, lamp=(HOST,)), "lamp", [LAMP, "My Lamp"], timeout=10))
    await asyncio.sleep(0)
    await expose(HTTPServer(port=ports.http))
    await waiting


async def test_waiting_without_things_takes_any_catalogue(ports: Ports, expose: Expose) -> None:
    await expose(HTTPServer(port=ports.http))
    await wait_node(conf(ports), HOST, timeout=10)


async def test_waiting_for_what_never_comes_says_what_was_missed(ports: Ports, expose: Expose) -> None:
    with pytest.raises(NodeNotReadyError) as raised:
        await wait_node(conf(ports, lamp=(HOST,)), "lamp", ["urn:other"], timeout=0.3)
    assert str(raised.value) == (
        f"node 'lamp': no catalogue with 'urn:other' on port {ports.catalogue} within 0.3 s"
    )
    assert isinstance(raised.value, TimeoutError)


async def test_waiting_is_for_every_replica(ports: Ports, expose: Expose) -> None:
    await expose(HTTPServer(port=ports.http))
    with pytest.raises(NodeNotReadyError):
        await wait_node(conf(ports, lamp=(HOST, "127.0.0.2.invalid")), "lamp", timeout=0.5)


@pytest.mark.parametrize("name", [LAMP, "My Lamp"])
async def test_a_thing_is_consumed_by_its_id_or_title(
    ports: Ports, expose: Expose, wot: Any, name: str
) -> None:
    await expose(HTTPServer(port=ports.http))
    lamp = await consume_from_catalogue(wot, servient_host=HOST, thing_id=name, conf=conf(ports))
    assert lamp.td.id == LAMP
    assert await lamp.properties["level"].read() == 1


async def test_a_thing_that_is_not_there_gets_a_clear_error(ports: Ports, expose: Expose, wot: Any) -> None:
    await expose(HTTPServer(port=ports.http))
    with pytest.raises(ThingNotFoundError, match="no Thing has the id or title 'urn:x'; there are 'My Lamp'"):
        await consume_from_catalogue(wot, ports.catalogue, HOST, "urn:x")


async def test_a_thing_without_servers_can_be_consumed_but_not_used(
    ports: Ports, expose: Expose, wot: Any
) -> None:
    await expose()
    lamp = await consume_from_catalogue(wot, ports.catalogue, HOST, LAMP)
    assert lamp.td.id == LAMP


@attrs.define
class Listed:
    """A catalogue of many Things that notes what is asked of it."""

    things: dict[str, str]
    asked: list[str] = attrs.field(factory=list)

    def description(self, title: str) -> dict[str, Any]:
        return {
            "@context": "https://www.w3.org/2022/wot/td/v1.1",
            "id": self.things[title],
            "title": title,
            "security": ["nosec_sc"],
            "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
        }

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        if request.path != "/":
            return web.json_response(self.description(request.path[1:]))
        expanded = bool(request.query.get("expanded"))
        return web.json_response(
            {title: self.description(title) if expanded else f"/{title}" for title in self.things}
        )


@pytest.fixture
async def listed(ports: Ports) -> AsyncIterator[Listed]:
    """Thirty Things, whose ids hold their titles but for the last ten."""
    catalogue._ids.clear()
    things = {
        f"lamp{number}": f"urn:dev:{f'lamp{number}' if number < 20 else number}" for number in range(30)
    }
    listed = Listed(things)
    server = web.Application()
    server.router.add_get("/{path:.*}", listed.answer)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, HOST, ports.catalogue).start()
    yield listed
    await runner.cleanup()


@pytest.mark.parametrize("name", ["lamp7", "urn:dev:lamp17"])
async def test_one_things_description_is_read_to_consume_it(
    listed: Listed, ports: Ports, wot: Any, name: str
) -> None:
    lamp = await consume_from_catalogue(wot, ports.catalogue, HOST, name)
    title = lamp.td.title
    assert listed.asked == ["/", f"/{title}"]


async def test_ids_that_say_nothing_of_titles_are_looked_for_once(
    listed: Listed, ports: Ports, wot: Any
) -> None:
    for number in range(20, 30):
        lamp = await consume_from_catalogue(wot, ports.catalogue, HOST, f"urn:dev:{number}")
        assert lamp.td.title == f"lamp{number}"
    assert listed.asked.count("/?expanded=true") == 1
    assert len(listed.asked) <= 10 + 10 + MAX_SINGLE_READS + 1, (
        "a list and a description each, and the search"
    )


async def test_waiting_for_things_reads_no_description_twice(listed: Listed, ports: Ports) -> None:
    surroundings = conf(ports, lamp=(HOST,))
    await wait_node(surroundings, "lamp", ["urn:dev:29", "lamp3"], timeout=10)
    with pytest.raises(NodeNotReadyError):
        await wait_node(surroundings, "lamp", ["urn:dev:none"], timeout=1)
    assert listed.asked.count("/?expanded=true") == 1
    assert len({path for path in listed.asked if path.startswith("/lamp")}) <= MAX_SINGLE_READS


async def test_a_long_wait_is_told_once_and_so_is_its_end(
    ports: Ports, expose: Expose, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str | None]] = []
    monkeypatch.setattr(waiting, "LONG_WAIT_S", 0.3)
    report_long_waits(lambda what, seconds, missing: told.append((what, missing)))
    try:
        waits = asyncio.create_task(wait_node(conf(ports, lamp=(HOST,)), "lamp", [LAMP], timeout=10))
        while not told:  # noqa: ASYNC110  # the helper tells a function, not a task
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        await expose(HTTPServer(port=ports.http))
        await waits
    finally:
        report_long_waits(None)
    (what, missing), found = told
    assert what == f"{HOST}:{ports.catalogue} with {LAMP!r}"
    assert "Cannot connect" in (missing or "")
    assert found == (what, None)


async def test_a_short_wait_is_nobodys_business(ports: Ports, expose: Expose) -> None:
    told: list[str] = []
    report_long_waits(lambda what, seconds, missing: told.append(what))
    try:
        await expose(HTTPServer(port=ports.http))
        await wait_node(conf(ports), HOST, timeout=10)
    finally:
        report_long_waits(None)
    assert told == []


async def test_an_unreachable_catalogue_is_an_oserror(ports: Ports, wot: Any) -> None:
    with pytest.raises(OSError, match="Cannot connect"):
        await consume_from_catalogue(wot, ports.catalogue, HOST, LAMP)


async def test_a_call_without_a_host_or_thing_is_a_mistake(wot: Any) -> None:
    with pytest.raises(TypeError, match="servient_host"):
        await consume_from_catalogue(wot)


@pytest.fixture
def metrics() -> Iterator[list[tuple[str, float]]]:
    got: list[tuple[str, float]] = []
    connect_metrics(lambda key, value: got.append((key, value)))
    yield got
    connect_metrics(None)


def test_metrics_come_from_any_thread(metrics: list[tuple[str, float]]) -> None:
    threads = [threading.Thread(target=write_metric, args=("k", number)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(metrics) == [("k", float(number)) for number in range(20)]


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("k", float("nan"), ValueError),
        ("k", float("inf"), ValueError),
        ("k", 10**400, ValueError),
        ("k", "1", TypeError),
        ("k", True, TypeError),
        ("k", None, TypeError),
        ("k", Decimal(1), TypeError),
        ("", 1, ValueError),
        (3, 1, TypeError),
    ],
)
def test_what_is_no_metric_is_refused(
    metrics: list[tuple[str, float]], key: Any, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        write_metric(key, value)
    assert metrics == []


def test_outside_of_wotemu_a_metric_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    connect_metrics(None)
    with caplog.at_level(logging.WARNING):
        write_metric("k", 1)
        write_metric("k", 2)
    assert [record.message for record in caplog.records] == [
        "not inside of WoTemu: write_metric('k', ...) and others go nowhere"
    ]


def test_importing_the_helpers_imports_no_wotpy() -> None:
    import subprocess
    import sys

    code = "import sys, wotemu.app; sys.exit(bool({'wotpy', 'aiohttp', 'tornado'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
