"""Builds what a release consists of, the same bytes from the same commit: `make release`."""
