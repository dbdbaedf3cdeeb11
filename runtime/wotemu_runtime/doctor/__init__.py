"""Checks of this machine: what WoTemu can use of it, what is missing, and what to do about that."""
