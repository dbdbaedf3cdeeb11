"""Processes on this machine: forking, reaping, and messages with descriptors between them."""
