"""Compares runs: the same figures by phase, how sure each difference is, and a page of them."""
