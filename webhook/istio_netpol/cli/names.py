"""What the program is called."""

PROGRAM = "istio-netpol"
PLUGIN = "kubectl-istio_netpol"
"""The name on PATH by which kubectl finds it as a plugin."""

COMPLETE_VARIABLE = "_ISTIO_NETPOL_COMPLETE"
"""The environment variable through which click's completion scripts ask."""
