"""Benchmarks: programs that print figures. `python -m benchmarks` runs all; a slow machine fails none."""
