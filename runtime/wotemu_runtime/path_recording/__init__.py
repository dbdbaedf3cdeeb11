"""Measures a real path by light probing: round trips by ICMP, UDP or TCP, and the rate of each way by UDP."""
