"""From denied sides to the NetworkPolicies that open them. Pure."""
