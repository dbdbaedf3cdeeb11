"""Tests of the gateways: fates of packets, the switch, and real traffic through it."""
