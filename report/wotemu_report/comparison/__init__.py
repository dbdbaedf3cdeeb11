"""Compares runs: the same figures by phase, how sure each difference is, and a page of them."""

FIGURES = ("p50", "p95", "p99", "errors", "availability", "throughput")
"""What is compared, by name."""
