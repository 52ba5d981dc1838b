"""Looks up the addresses of host names by DNS, within limits far below a webhook's."""
