"""Istio and Kyma flow rules: which connections an object needs. Knows nothing of NetworkPolicy semantics."""
