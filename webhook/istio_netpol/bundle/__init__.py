"""Builds overlays with kustomize and charts with Helm, outside this process: what is judged, and together."""
