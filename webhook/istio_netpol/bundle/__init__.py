"""Overlays: built by kustomize, outside this process."""
