"""The unit, or what it may be, of every column of every recorded table."""

from __future__ import annotations

_EVERYWHERE = {
    "s": "s since T0; null in a run that never began",
    "phase": 'of the scenario; "" before T0',
    "group": 'node of the topology that the replica is a copy of; "" where the row is of none',
    "t": "s since the epoch, on the bus's clock",
    "node": "replica, such as `reader-2`",
    "network": "name",
    "source": "role, such as `gateway:field`",
    "error": 'text; "" without one',
}

_OF_TABLE = {
    "events": {"kind": "such as `app.crashed`", "message": "text", "data": "JSON, by kind"},
    "system": {
        "cpu_percent": "% of one core",
        "cpu_limit_percent": "% of one core; null without a limit",
        "mem_bytes": "bytes, resident",
        "mem_limit_bytes": "bytes; null without a limit",
        "processes": "number",
    },
    "host": {
        "host": "host name of the machine",
        "cpu_percent": "% of all cores",
        "steal_percent": "% of all cores",
        "mem_used_bytes": "bytes",
        "mem_total_bytes": "bytes",
        "clock_offset": "s to add to the machine's clock to get the bus's",
        "clock_error": "s, at most",
    },
    "flows": {
        "direction": "`up` or `down`",
        "transport": "`tcp`, `udp`, `icmp`, `igmp`, `sctp`, or `ip-NUMBER`",
        "protocol": '`http`, `ws`, `coap`, `mqtt`, `catalogue`, or ""',
        "src": "replica or address",
        "dst": "replica or address",
        "sport": "port",
        "dport": "port",
        "packets": "number in this second",
        "bytes": "bytes in this second",
    },
    "interactions": {
        "role": "`consumer` or `producer`",
        "thing": "id of the Thing",
        "affordance": "`property`, `action` or `event`",
        "name": "name of the affordance",
        "op": "W3C operation, such as `readproperty`",
        "stage": "`request`, `subscribe`, `next` or `end`",
        "binding": "`http`, `ws`, `coap` or `mqtt`",
        "duration": "s; null where there is none",
        "bytes": "bytes of payload as JSON",
        "status": "`ok`, `failed`, `cancelled` or `unfinished`",
        "code": 'HTTP status, CoAP code or number of a WebSocket error; "" without one',
        "peer": 'replica at the other end, or its address; "" without a connection',
        "origin": "`app` or `library`",
        "digest": "CRC-32 of an item's JSON; null elsewhere",
    },
    "emissions": {
        "thing": "id of the Thing",
        "affordance": "`event` or `property`",
        "name": "name of the affordance",
        "op": "`subscribeevent` or `observeproperty`",
        "bytes": "bytes of payload as JSON",
        "digest": "CRC-32 of the payload's JSON",
    },
    "app": {"key": "the metric's name", "value": "the app's own unit"},
    "broker": {"key": "topic below `$SYS`", "value": "the broker's unit"},
    "hops": {
        "node": 'replica; "" for a shared network\'s rate',
        "direction": "`up`, `down` or `shared`",
        "shaper": "`tun` or `netem`",
        "sent": "packets in this second",
        "sent_bytes": "bytes in this second",
        "dropped_loss": "packets in this second",
        "dropped_queue": "packets in this second",
        "dropped_cut": "packets in this second",
        "backlog": "packets held now",
        "late_max": "s; null where unknown",
        "late_bins": "numbers of bins",
        "late_counts": "packets in each of these bins",
        "busy": "s since the row before; null where unknown",
        "served_bytes": "bytes since the row before; null where unknown",
        "dropped_memory": "packets in this second",
    },
    "gateways": {
        "shaper": "`tun` or `netem`",
        "interval": "s before `t`",
        "cpu": "s of CPU time of the process",
        "packets": "passed on or dropped on members' up hops",
    },
    "captures": {
        "packets": "stored since the run began",
        "bytes": "of the file by now",
        "left_out": "packets since the run began",
        "dropped": "packets since the run began",
    },
    "published": {
        "port": "of this machine's loopback interface",
        "target": "port of the node",
        "connections": "that the node took since the run began",
        "refused": "connections that nothing took there",
        "received": "bytes that came to the node",
        "sent": "bytes that came from it",
    },
    "probes": {
        "peer": "replica",
        "expected": "s; null while cut off",
        "measured": "s; null where it never came",
        "lost": "true or false",
        "state": '"", `changing`, `loaded`, `changed`, `outage`, `cut` or `ending`',
        "spread": "s",
    },
    "stalls": {"duration": "s"},
    "changes": {
        "id": "number in the timeline",
        "due": "s since the epoch",
        "applied": "s since the epoch",
        "action": "verb",
        "target": "hop, network or replica",
        "before": "JSON",
        "after": "JSON",
        "ok": "true or false",
    },
}


def meaning(table: str, column: str) -> str:
    """The unit or the values of a column.

    Raises:
        KeyError: The column is not described here yet.
    """
    return _OF_TABLE.get(table, {}).get(column) or _EVERYWHERE[column]
