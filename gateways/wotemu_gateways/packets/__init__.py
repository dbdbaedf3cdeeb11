"""Ethernet frames, the flows that they belong to, and probe packets. Pure."""
