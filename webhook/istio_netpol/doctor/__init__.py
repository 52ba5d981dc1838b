"""The examination of a live cluster."""
