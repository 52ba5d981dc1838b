"""A folder of manifests like those in the examples of the help, and stand-ins for kubectl and kustomize."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import yaml
from click.testing import Result

Run = Callable[..., Result]
"""Runs the program in the workspace: arguments, `stdin`, and environment variables by name."""

SHOP = """\
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {istio-injection: enabled}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      containers:
      - {name: cart, image: cart, ports: [{containerPort: 8080, name: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: shop}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db, sidecar.istio.io/inject: "false"}}
    spec:
      containers:
      - {name: db, image: db, ports: [{containerPort: 5432}]}
"""
DENY_ALL = """\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
"""
GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [shop.example.com]
  gateways: [public]
  http: [{match: [{uri: {prefix: /cart}}], route: [{destination: {host: cart, port: {number: 80}}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
JWT = """\
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: shop}
spec:
  jwtRules:
  - issuer: https://keys.example.com
    jwksUri: https://keys.example.com/jwks.json
"""
ISTIOD_DENIED = (
    DENY_ALL.replace("namespace: shop", "namespace: istio-system")
    + """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system}
spec:
  selector: {matchLabels: {app: istiod}}
  template:
    metadata: {labels: {app: istiod, istio: pilot}}
    spec:
      containers:
      - {name: discovery, image: pilot, ports: [{containerPort: 15012}]}
"""
)
LOG = "warn Envoy proxy is NOT ready: config not received from XDS server (is Istiod running?)"
KUSTOMIZE = """\
import pathlib, sys
command, folder = sys.argv[1:]
assert command == "build", command
files = sorted(pathlib.Path(folder).glob("*.yaml"))
print("---\\n".join(file.read_text() for file in files if file.name != "kustomization.yaml"))
"""


def lay_out(folder: Path) -> None:
    """Writes the files that the examples name."""
    files = {
        "shop.yaml": SHOP,
        "gateway.yaml": GATEWAY,
        "manifests/shop.yaml": SHOP + DENY_ALL,
        "old/shop.yaml": SHOP,
        "new/shop.yaml": SHOP + DENY_ALL,
        "overlays/prod/kustomization.yaml": "resources: [shop.yaml]\n",
        "overlays/prod/shop.yaml": SHOP + DENY_ALL,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def install(folder: Path) -> Path:
    """A folder for PATH: istio-netpol, a kubectl, a helm and a git that print the shop, and a kustomize."""
    items = list(yaml.safe_load_all(SHOP + DENY_ALL))
    dump = folder / "dump.json"
    dump.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    program(folder / "istio-netpol", "from istio_netpol.cli.main import main\nmain()\n")
    program(
        folder / "kubectl",
        f"import sys\nprint({{'get': lambda: open({str(dump)!r}).read(), 'logs': lambda: {LOG!r}}}.get("
        "sys.argv[1], sys.stdin.read)())\n",
    )
    program(folder / "kustomize", KUSTOMIZE)
    program(folder / "helm", f"print({SHOP!r}.replace(', namespace: shop', ''))\n")
    program(folder / "git", f"print({SHOP!r})\n")
    return folder


def program(path: Path, code: str) -> Path:
    """An executable Python script."""
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)
    return path
