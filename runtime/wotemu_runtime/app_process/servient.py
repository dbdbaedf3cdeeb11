"""Builds WoTPy's servient for one app: the servers that its spec asks for, and a client for each binding."""

from __future__ import annotations

import os
import socket
from typing import Any

from wotemu_runtime.app_process.broker_ca import CA_FILE
from wotemu_runtime.app_process.loading.spec import AppSpec


def build_servient(spec: AppSpec) -> Any:
    """WoTPy's servient, not started: the servers that `spec` asks for, and a client for each binding.

    It has no catalogue where it has no server, and no MQTT client where the node can reach no broker. Where
    the node names no broker and its app has no login, MQTT is used for what no other binding serves: WoTPy
    would prefer it for properties.
    """
    from wotpy.protocols.coap.client import CoAPClient
    from wotpy.protocols.coap.server import CoAPServer
    from wotpy.protocols.http.client import HTTPClient
    from wotpy.protocols.http.server import HTTPServer
    from wotpy.protocols.mqtt.client import MQTTClient
    from wotpy.protocols.mqtt.server import MQTTServer
    from wotpy.protocols.ws.client import WebsocketClient
    from wotpy.protocols.ws.server import WebsocketServer
    from wotpy.wot.servient import Servient

    conf = spec.conf
    user, password = spec.credentials or (None, None)
    ca_file = os.environ.get(CA_FILE)
    clients = [HTTPClient(), WebsocketClient(), CoAPClient()]
    if spec.mqtt_client:
        clients.append(MQTTClient(ca_file=ca_file, username=user, password=password))
    uses_mqtt = conf.broker_url is not None or spec.credentials is not None
    kind = _mqtt_last(Servient) if spec.mqtt_client and not uses_mqtt else Servient
    servient = kind(
        hostname=conf.hostname, catalogue_port=conf.ports.catalogue if spec.serves else None, clients=clients
    )
    if spec.http:
        servient.add_server(HTTPServer(port=conf.ports.http))
    if spec.ws:
        servient.add_server(WebsocketServer(port=conf.ports.ws))
    if spec.coap:
        servient.add_server(_bindable(CoAPServer(port=conf.ports.coap)))
    if spec.mqtt:
        login = {"username": user, "password": password}
        servient.add_server(MQTTServer(conf.broker_url, servient_id=conf.replica, ca_file=ca_file, **login))
    return servient


def _mqtt_last(servient: type[Any]) -> type[Any]:
    """A class of servients that choose MQTT only for what no other of their clients supports."""

    from wotpy.protocols.enums import Protocols

    class MqttLast(servient):  # type: ignore[misc]  # WoTPy has no types
        def select_client(self, td: Any, name: str) -> Any:
            others = [client for client in self.clients.values() if client.protocol != Protocols.MQTT]
            if any(client.is_supported_interaction(td, name) for client in others):
                return servient._default_select_client(others, td, name)
            return super().select_client(td, name)

    return MqttLast


def _bindable(server: Any) -> Any:
    """A CoAP server that starts without IPv6, too, which Docker's containers lack by default.

    WoTPy binds to ``::``, which does not resolve then; to the socket, every IPv4 address is as good.
    """
    try:
        socket.getaddrinfo("::", server.port, type=socket.SOCK_DGRAM, flags=socket.AI_ADDRCONFIG)
    except socket.gaierror:
        server._get_bind_address = lambda: ("0.0.0.0", server.port)  # noqa: S104
    return server
