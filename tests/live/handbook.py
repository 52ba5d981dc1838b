"""The five scenarios of Kyma's Istio module 1.26 ("NetworkPolicy scenarios", docs/user), as one types them,
line by line.

What the handbook fetches from the network is in the files of `tests/scenarios`. The policies that it opens by
hand are left out: they are what istio-netpol is about. That one workload calls another is declared instead.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chapter:
    """One scenario: what happens in it, and the lines to type."""

    name: str
    tells: str
    lines: tuple[str, ...]


def deny_all(namespace: str) -> str:
    """The handbook's deny-all, as its reader types it."""
    return f"""\
kubectl apply -f - <<EOF
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: default-deny
  namespace: {namespace}
spec:
  podSelector: {{}}
  policyTypes:
  - Ingress
  - Egress
EOF"""


def _with_sidecars(namespace: str) -> tuple[str, ...]:
    return (
        f"kubectl create namespace {namespace}",
        f"kubectl label namespace {namespace} istio-injection=enabled",
        deny_all(namespace),
    )


KEYS_AT = {"raw.githubusercontent.com": [f"185.199.{part}.133" for part in (108, 109, 110, 111)]}
"""What `dig +short` says in the handbook of the host that has the keys."""

CHAPTERS = (
    Chapter(
        "control-plane",
        "Istio and Kyma's operator are installed into namespaces under a deny-all.",
        (
            "kubectl create namespace kyma-system",
            deny_all("kyma-system"),
            deny_all("istio-system"),
            "kubectl apply -f _control_plane/istio-operator.yaml",
            "kubectl apply -f _control_plane/istiod.yaml",
            "kubectl apply -f _control_plane/istio-cni.yaml",
            "kubectl apply -f _control_plane/ingress-gateway.yaml",
            "kubectl apply -f _control_plane/kyma-gateway.yaml",
        ),
    ),
    Chapter(
        "sidecar-injection",
        "A team deploys httpbin, with a sidecar, into a namespace under a deny-all.",
        (*_with_sidecars("my-namespace"), "kubectl apply -f sidecar-injection/before/httpbin.yaml"),
    ),
    Chapter(
        "sidecar-to-sidecar",
        "Workloads of two namespaces under a deny-all call each other.",
        (
            *_with_sidecars("namespace-a"),
            *_with_sidecars("namespace-b"),
            "kubectl create deployment nginx --image=nginx -n namespace-a",
            "kubectl expose deployment nginx --port=80 -n namespace-a",
            "kubectl create deployment nginx --image=nginx -n namespace-b",
            "kubectl expose deployment nginx --port=80 -n namespace-b",
            "kubectl annotate deployment nginx -n namespace-b istio-netpol.io/called-by=namespace-a/nginx",
            "kubectl annotate deployment nginx -n namespace-a istio-netpol.io/calls=namespace-b/nginx:80",
        ),
    ),
    Chapter(
        "virtual-service",
        "httpbin is exposed at the ingress gateway by a VirtualService.",
        (
            *_with_sidecars("my-virtualservice-namespace"),
            "kubectl apply -f virtual-service/before/httpbin.yaml",
            "kubectl apply -f virtual-service/before/virtual-service.yaml",
        ),
    ),
    Chapter(
        "request-authentication",
        "Tokens are checked: istiod has to fetch the keys of their issuer.",
        (
            "kubectl apply -f request-authentication/before/request-authentication.yaml",
            "kubectl apply -f request-authentication/before/authorization-policy.yaml",
            "kubectl rollout restart deployment httpbin -n my-virtualservice-namespace",
        ),
    ),
)
