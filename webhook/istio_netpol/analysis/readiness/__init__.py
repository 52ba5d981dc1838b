"""Behind `istio-netpol readiness`: what a deny-all would cost a cluster, and the steps by which it costs
nothing."""
