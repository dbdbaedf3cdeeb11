"""Reads a run directory: its manifest, timeline, certificate, events and tables."""
