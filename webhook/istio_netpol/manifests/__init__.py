"""Manifests: from text to typed objects and back, without touching a file or a cluster."""
