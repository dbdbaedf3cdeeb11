"""Packets of nodes, as the nodes see them, written as pcapng for Wireshark and its like."""
