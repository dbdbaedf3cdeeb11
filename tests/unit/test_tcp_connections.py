"""TCP connections as the kernel has them, and the rows that successive looks make."""

from __future__ import annotations

import socket

import attrs

from wotemu_runtime.agent.tcp_connections import ConnectionMeter, Socket, sockets


def test_a_connection_of_this_machine_is_found_with_its_round_trip() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0] as accepted:
            client.sendall(b"x" * 100)
            assert accepted.recv(100)
            found = sockets()
            client_port = client.getsockname()[1]
    assert any(each.is_listening and each.local_port == port for each in found)
    (ours,) = (each for each in found if each.local_port == client_port)
    assert (ours.peer, ours.peer_port, ours.retransmitted) == ("127.0.0.1", port, 0)
    assert 0 < ours.rtt < 5
    assert ours.sent >= 2


def test_rows_are_by_peer_and_port_of_the_server_and_count_what_is_new() -> None:
    names = {"10.0.0.2": "reader", "10.0.0.3": "hub"}
    meter = ConnectionMeter("cam", names.get)
    looked_at = [
        Socket(1, True, 8080, "0.0.0.0", 0),
        Socket(2, False, 8080, "10.0.0.2", 40001, rtt=0.1, rtt_min=0.09, retransmitted=3, sent=50),
        Socket(3, False, 8080, "10.0.0.2", 40002, rtt=0.3, rtt_min=0.08, retransmitted=1, sent=20),
        Socket(4, False, 40003, "10.0.0.3", 1883, rtt=0.2, rtt_min=0.2, retransmitted=0, sent=5),
        Socket(5, False, 40004, "172.16.0.9", 6379, rtt=0.2, rtt_min=0.2, retransmitted=0, sent=5),
    ]
    served, used = meter.rows(1.0, looked_at)
    assert (served.peer, served.port, served.connections) == ("reader", 8080, 2)
    assert (served.rtt, served.rtt_min, served.sent, served.retransmitted) == (0.2, 0.08, 70, 4)
    assert (used.peer, used.port, used.sent) == ("hub", 1883, 5)
    later = [attrs.evolve(looked_at[1], retransmitted=5, sent=60), looked_at[0]]
    (row,) = meter.rows(2.0, later)
    assert (row.connections, row.sent, row.retransmitted) == (1, 10, 2)
