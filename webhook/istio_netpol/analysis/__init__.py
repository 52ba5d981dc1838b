"""Joins flow rules and policy semantics: check, generate, explain, list, diff, impact."""
