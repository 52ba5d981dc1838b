"""What every long-running process of istio-netpol does in the same way."""
