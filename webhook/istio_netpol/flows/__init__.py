"""Required flows of a cluster, kept up to date. Pure."""
