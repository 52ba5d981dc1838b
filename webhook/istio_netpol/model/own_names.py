"""The names under which this program writes and reads in a cluster, and the namespaces that are
Kubernetes' own."""

from __future__ import annotations

MANAGED_BY = "app.kubernetes.io/managed-by"
OWNER = "istio-netpol"
"""The value of `MANAGED_BY` on what is ours."""

PART_OF = "app.kubernetes.io/part-of"
"""With the value `OWNER` on the policies of the Kustomize bundle."""

FIELD_MANAGER = "istio-netpol"
"""The name under which the API server records the fields that we apply."""

FLOW_LABEL = "istio-netpol.io/flow"
"""On a generated policy: the kind of flow that it opens."""

MODE_LABEL = "istio-netpol.io/mode"
"""On a namespace: what happens to objects whose flows are denied."""

REQUIRED_BY = "istio-netpol.io/required-by"
"""On a generated policy: the objects that need it."""

OPENS_TO = "istio-netpol.io/opens-to"
"""On a generated policy: that it opens more than is needed, and why."""

UNNEEDED_SINCE = "istio-netpol.io/unneeded-since"
"""On a generated policy: when it was first seen without a need."""

PROVISIONAL_AT = "istio-netpol.io/provisional-at"
"""On a generated policy: when a review had it written, until its object is seen stored."""

TRUSTED_SINCE = "istio-netpol.io/trusted-since"
"""On the Secret of the webhook's certificate: since when API servers trust its issuer."""

REVIEW_PATHS = "istio-netpol.io/review-paths"
"""On a webhook configuration: since when the paths of its webhooks are registered, and which come next."""

PROBE_LABEL = "istio-netpol.io/probe"
"""On the namespace that `doctor --probe` makes, and all in it: what a killed run left is found by it."""

CALLS = "istio-netpol.io/calls"
"""On a workload: the connections that it opens."""

CALLED_BY = "istio-netpol.io/called-by"
"""On a workload or Service: who may connect to it."""

ACCEPT = "istio-netpol.io/accept"
"""On any object: findings of it that somebody knows of, why, and until when."""

KUBERNETES_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
"""Kubernetes' own namespaces. They hold no injected pods, no gateway is believed there whatever selects its
pods, and what is refused or denied in them can break the cluster itself."""
