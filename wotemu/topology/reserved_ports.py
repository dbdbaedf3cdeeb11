"""Ports that no program of a node may use. In a module of its own: agents need nothing else of topologies."""

PROBE_PORT = 61999
"""The UDP port of probes, reserved on every node: above Linux's ephemeral ports, which end at 60999."""
