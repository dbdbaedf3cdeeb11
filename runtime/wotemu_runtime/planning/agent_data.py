"""The part of an agent's assignment that follows from the plan alone, the same under every engine."""

from __future__ import annotations

from typing import Any

from wotemu_runtime.planning.broker_settings import monitor_login, uses_tls
from wotemu_runtime.planning.models import Plan, Replica
from wotemu_runtime.planning.statsd_variables import statsd_port


def agent_data(plan: Plan, replica: Replica) -> dict[str, Any]:
    """What the agent of a node or broker has to know about it; its replicas share it."""
    return {
        "kind": replica.kind,
        "is_wot": replica.app is not None,
        "port_mqtt": plan.topology.ports.mqtt,
        "port_coap": plan.topology.ports.coap,
        "broker_login": monitor_login(replica.env),
        "broker_tls": uses_tls(replica.env),
        "statsd_port": statsd_port(replica),
        "has_ports": plan.publishes_over_bus and bool(replica.publish),
    }
