"""Both brokers let their users in with their passwords, and nobody else; secrets stay out of logs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiomqtt
import pytest

from tests.conftest import Require
from wotemu_runtime.app_process import redaction
from wotemu_runtime.broker.server import find_mosquitto
from wotemu_runtime.planning.broker_users import VARIABLE, environment, monitor_login, take

DEADLINE_S = 30.0
AMQTT = "import wotemu_runtime.broker.server as s; s.find_mosquitto = lambda: None; s.main()"


@contextlib.asynccontextmanager
async def broker(code: str, env: dict[str, str]) -> AsyncIterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(port)), env={**os.environ, **env}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        process.kill()
        await process.wait()


async def listening(port: int) -> None:
    """Wait until something listens on this port."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


async def connects(port: int, user: str | None, password: str | None) -> bool:
    """Whether the broker lets this user in."""
    try:
        async with aiomqtt.Client("127.0.0.1", port, username=user, password=password):
            return True
    except aiomqtt.MqttError:
        return False


@pytest.mark.parametrize("name", ["mosquitto", "amqtt"])
async def test_a_broker_lets_its_users_in_and_nobody_else(name: str, require: Require) -> None:
    require(name != "mosquitto" or find_mosquitto() is not None, "Mosquitto is not installed")
    env = environment({"field": "pass: word"})
    login = monitor_login(env)
    assert login is not None
    code = AMQTT if name == "amqtt" else "import wotemu_runtime.broker.server as s; s.main()"
    async with broker(code, env) as port:
        await listening(port)
        assert await connects(port, "field", "pass: word")
        assert await connects(port, *login)
        for user, password in (("field", "guess"), ("other", "pass: word"), (None, None)):
            assert not await connects(port, user, password)


def test_the_brokers_process_takes_the_users_out_of_its_environment() -> None:
    env = {"HOME": "/", **environment({"field": "secret"})}
    assert take(env)["field"] == "secret"
    assert env == {"HOME": "/"}
    assert (environment({}), monitor_login({}), take({})) == ({}, None, {})
    assert VARIABLE in environment({"a": "b"})


def test_secrets_are_replaced_in_log_records(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(redaction, "_secrets", [])
    before = logging.getLogRecordFactory()
    try:
        redaction.hide("hunter2")
        logger = logging.getLogger("amqtt.test")
        logger.warning("connecting to %s", "mqtt://field:hunter2@hub")
        try:
            raise ConnectionError("mqtt://field:hunter2@hub")
        except ConnectionError:
            logger.exception("failed")
        assert "hunter2" not in caplog.text
        assert "mqtt://field:***@hub" in caplog.text
        assert redaction.redacted("hunter2!") == "***!"
    finally:
        logging.setLogRecordFactory(before)
