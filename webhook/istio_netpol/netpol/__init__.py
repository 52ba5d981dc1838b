"""NetworkPolicy semantics: what policies say of one connection and of all at once. Knows nothing of Istio."""
