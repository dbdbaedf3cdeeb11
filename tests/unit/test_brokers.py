"""Both brokers: users and passwords, and TLS; and secrets stay out of logs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.conftest import Require
from wotemu_runtime.app_process import broker_ca, redaction
from wotemu_runtime.planning.broker_certificates import BrokerAuthority
from wotemu_runtime.planning.broker_settings import (
    VARIABLE,
    BrokerSettings,
    environment,
    monitor_login,
    take,
    uses_tls,
)
from wotemu_runtime.planning.mosquitto import find_mosquitto

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


async def connects(
    port: int, user: str | None, password: str | None, tls: ssl.SSLContext | None = None
) -> bool:
    """Whether the broker lets this user in."""
    try:
        async with aiomqtt.Client("127.0.0.1", port, username=user, password=password, tls_context=tls):
            return True
    except aiomqtt.MqttError:
        return False


@pytest.mark.parametrize("name", ["mosquitto", "amqtt"])
async def test_a_broker_lets_its_users_in_and_nobody_else(name: str, require: Require) -> None:
    require(name != "mosquitto" or find_mosquitto() is not None, "Mosquitto is not installed")
    env = environment(BrokerSettings({"field": "pass: word"}))
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
    env = {"HOME": "/", **environment(BrokerSettings({"field": "secret"}))}
    assert "secret" not in repr(BrokerSettings({"field": "secret"}))
    assert take(env).users["field"] == "secret"
    assert env == {"HOME": "/"}
    assert (environment(BrokerSettings()), monitor_login({}), take({})) == ({}, None, BrokerSettings())
    assert VARIABLE in environment(BrokerSettings({"a": "b"}))


def test_a_broker_without_users_but_with_tls_has_no_login() -> None:
    certificate, key = BrokerAuthority().certify(["mqtt"])
    env = environment(BrokerSettings(certificate=certificate, key=key))
    assert (monitor_login(env), uses_tls(env), uses_tls({})) == (None, True, False)
    assert key not in repr(take(env))


@pytest.mark.parametrize("name", ["mosquitto", "amqtt"])
async def test_only_who_knows_the_authority_trusts_the_broker(name: str, require: Require) -> None:
    require(name != "mosquitto" or find_mosquitto() is not None, "Mosquitto is not installed")
    authority = BrokerAuthority()
    certificate, key = authority.certify(["mqtt", "mqtt.field"])
    code = AMQTT if name == "amqtt" else "import wotemu_runtime.broker.server as s; s.main()"
    async with broker(code, environment(BrokerSettings(certificate=certificate, key=key))) as port:
        await listening(port)
        trusting = ssl.create_default_context(cadata=authority.certificate)
        other = ssl.create_default_context(cadata=BrokerAuthority().certificate)
        for host in ("mqtt", "mqtt.field"):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=host)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="elsewhere")
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=other, server_hostname="mqtt")
        assert await connects(port, None, None, trusting)
        assert not await connects(port, None, None)


def test_programs_find_the_authority_in_a_file(tmp_path: Path) -> None:
    env = {"WOTEMU_SCRATCH": str(tmp_path), broker_ca.CA_TEXT: "PEM"}
    broker_ca.place(env)
    assert Path(env[broker_ca.CA_FILE]).read_text() == "PEM"
    assert broker_ca.CA_TEXT not in env
    none = {"WOTEMU_SCRATCH": str(tmp_path)}
    broker_ca.place(none)
    assert broker_ca.CA_FILE not in none


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
