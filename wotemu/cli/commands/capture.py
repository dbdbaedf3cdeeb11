"""``wotemu capture``: the packets of a node of a run, as they pass, for Wireshark."""

from __future__ import annotations

import sys

import click

from wotemu.cli.completing import EmulationName, NodeName
from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option


@click.command(short_help="Stream the packets of a node to Wireshark.")
@click.argument("name", type=EmulationName())
@click.argument("node", type=NodeName())
@debug_option
def capture(name: str, node: str, debug: bool) -> None:
    """Write what passes the interfaces of a NODE of the run NAME, from now on, as pcapng.

    \b
    wotemu capture field sensor | wireshark -k -i -
    wotemu capture field sensor | tshark -r - -Y coap
    wotemu capture field sensor > sensor.pcapng

    It ends with Ctrl-C, with its reader, and with the run. Packets that its reader is too slow for are
    dropped and counted; they delay nothing. `wotemu run --pcap` stores packets from the beginning of a run.
    """
    with reporting_errors(debug=debug):
        from wotemu.errors import InputError

        if sys.stdout.isatty():
            raise InputError(
                "packets are not for a terminal",
                where="wotemu capture",
                hint=f"wotemu capture {name} {node} | wireshark -k -i -",
            )
        from wotemu.cli.remote_command import capture_remote

        sys.exit(capture_remote(name, node))
