"""Flow rules, one a file: each exposes `RULE`."""
