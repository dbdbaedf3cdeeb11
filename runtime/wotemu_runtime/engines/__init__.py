"""Engines place nodes on machines."""
