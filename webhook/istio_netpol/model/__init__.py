"""Frozen values that every other layer speaks: labels, ports, addresses, workloads, policies, mesh
objects, flows, findings."""
