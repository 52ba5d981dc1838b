"""Builds overlays with kustomize, outside this process."""
