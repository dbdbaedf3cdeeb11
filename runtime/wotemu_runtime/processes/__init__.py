"""Processes of one machine: fork, reap, exchange messages and descriptors, make system calls."""
