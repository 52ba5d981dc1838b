"""Certificates: made here, or brought."""
