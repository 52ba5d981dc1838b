"""The Kubernetes API: what it serves, what it holds, and policies written to it."""
