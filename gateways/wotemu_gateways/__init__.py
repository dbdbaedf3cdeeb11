"""Conditions to packets: what delays, drops and paces every packet between nodes."""
