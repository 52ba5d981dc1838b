"""A small kubelet for one node: it turns Pod objects into processes, and what these do into status."""
