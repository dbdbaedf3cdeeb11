"""Speed and memory, as ratios taken in one run. Each is a module: ``python -m benchmarks.NAME``."""
