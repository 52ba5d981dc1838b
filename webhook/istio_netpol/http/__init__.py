"""HTTPS for one application whose clients may be hostile: no client holds up another."""
