"""Keeps generated policies right: restores, collects, refreshes, by one leader at a time."""
