"""Behind `istio-netpol explain`: what one connection has to pass, and so a request for a host and all that a
workload needs."""
