"""An application team with an AppProject and an Application of its own, in a namespace of mode `augment`."""

from __future__ import annotations

from typing import Any

import yaml
from tests.argocd.fleet import Fleet
from tests.argocd.installation import NAMESPACE
from tests.argocd.repository import ROOT

API = "argoproj.io/v1alpha1"
TEAM = "shop"
WORKLOADS = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
  labels:
    app.kubernetes.io/instance: shop
spec:
  selector:
    matchLabels:
      app: cart
  template:
    metadata:
      labels:
        app: cart
        app.kubernetes.io/instance: shop
    spec:
      containers:
      - name: cart
        image: cart
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: default-deny
spec:
  podSelector: {}
  policyTypes:
  - Ingress
  - Egress
"""


def project(fleet: Fleet) -> dict[str, Any]:
    """It warns of what nobody manages, and ignores what our own project ignores."""
    ours = yaml.safe_load((ROOT / "argocd" / "objects" / "projects" / "project.yaml").read_text())
    spec = {
        "sourceRepos": [fleet.repository.url],
        "destinations": [{"server": "*", "namespace": TEAM}],
        "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
        "orphanedResources": {"warn": True, "ignore": ours["spec"]["orphanedResources"]["ignore"]},
    }
    metadata = {"name": TEAM, "namespace": NAMESPACE}
    return {"apiVersion": API, "kind": "AppProject", "metadata": metadata, "spec": spec}


def application(fleet: Fleet) -> dict[str, Any]:
    """The team's objects in the namespace that it makes."""
    labels = {"istio-injection": "enabled", "istio-netpol.io/mode": "augment"}
    sync = {
        "automated": {"prune": True, "selfHeal": True},
        "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"],
        "managedNamespaceMetadata": {"labels": labels},
    }
    spec = {
        "project": TEAM,
        "source": {"repoURL": fleet.repository.url, "targetRevision": "main", "path": TEAM},
        "destination": {"name": "edge", "namespace": TEAM},
        "syncPolicy": sync,
    }
    metadata = {"name": TEAM, "namespace": NAMESPACE}
    return {"apiVersion": API, "kind": "Application", "metadata": metadata, "spec": spec}
