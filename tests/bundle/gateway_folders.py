"""Overlays that list folders of gateways among their resources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.bundle.overlays import Built, built

EXPOSED = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: cross-network-gateway, namespace: istio-system}
spec:
  selector: {istio: eastwestgateway}
  servers:
  - {port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ["*.local"]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: istiod-gateway, namespace: istio-system}
spec:
  selector: {istio: eastwestgateway}
  servers:
  - {port: {name: tls-istiod, number: 15012, protocol: tls}, tls: {mode: PASSTHROUGH}, hosts: ["*"]}
  - {port: {name: tls-istiodwebhook, number: 15017, protocol: tls}, tls: {mode: PASSTHROUGH}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: istiod-vs, namespace: istio-system}
spec:
  hosts: ["*"]
  gateways: [istiod-gateway]
  tls:
  - match: [{port: 15012, sniHosts: ["*"]}]
    route: [{destination: {host: istiod.istio-system.svc.cluster.local, port: {number: 15012}}}]
  - match: [{port: 15017, sniHosts: ["*"]}]
    route: [{destination: {host: istiod.istio-system.svc.cluster.local, port: {number: 443}}}]
"""
"""What Istio's guides have an east-west gateway expose."""


def beside(tree: Path, overlay: str, *gateways: Path, components: Sequence[str] = ()) -> Built:
    """An overlay with folders of gateways, and with further components."""
    file = tree / "overlays" / overlay / "kustomization.yaml"
    text = file.read_text()
    folders = "".join(f"- ../../gateways/{folder.name}\n" for folder in gateways)
    added = "".join(f"- ../../components/{component}\n" for component in components)
    more = text.replace("resources:\n", f"resources:\n{folders}")
    try:
        file.write_text(more.replace("components:\n", f"components:\n{added}"))
        return built(file.parent)
    finally:
        file.write_text(text)


def checked(tree: Path, overlay: str, gateway: str) -> Path:
    """The folder of a gateway; where load balancers check gateways from outside the node, a folder of the
    user's own around it, with the component for that."""
    listed = (tree / "overlays" / overlay / "kustomization.yaml").read_text()
    if "health-checks" not in listed:
        return tree / "gateways" / gateway
    folder = tree / "gateways" / f"checked-{gateway}"
    folder.mkdir(exist_ok=True)
    namespace = "istio-system" if gateway == "istio-eastwestgateway" else gateway
    content = f"namespace: {namespace}\nresources: [../{gateway}]\n"
    content += "components: [../../components/gateway-health-checks]\n"
    (folder / "kustomization.yaml").write_text(content)
    return folder
