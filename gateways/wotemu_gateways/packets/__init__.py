"""Frames, the flows that they belong to, and probe packets, as bytes and values. Pure."""
