"""Uplinks: the ways out of an emulation, to the network of the machine that runs it."""
