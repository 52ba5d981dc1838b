"""NetworkPolicy semantics: what policies allow of one connection, and of all at once. Knows nothing of
Istio."""
