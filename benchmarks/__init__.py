"""Benchmarks: programs that print figures. Run all with `python -m benchmarks`; nothing here fails on a
slow machine."""
