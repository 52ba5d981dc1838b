"""Keeps Istio and Kyma clusters working under deny-all NetworkPolicies.

The packages below form layers, and imports point downwards only: `docs/adr/0001-layers-and-ports.md` names
them and says why, and the contracts in `pyproject.toml` hold the code to it.
"""

__version__ = "0.1.0"
