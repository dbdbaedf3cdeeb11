"""Engines place nodes on machines: `local` in namespaces of this one, `swarm` on those of a Docker Swarm.

`engine` has the protocol between an engine and a coordinator.
"""
