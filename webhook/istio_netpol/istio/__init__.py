"""Flow rules of Istio and Kyma: which connections an object needs. Knows nothing of NetworkPolicy
semantics."""
