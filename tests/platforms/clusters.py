"""Clusters as dumps hold them, one to each way in which a platform's pods reach the API server and DNS.

`CLUSTER.yaml` is what the vendor runs, `istio.yaml` what runs everywhere. They were made by hand, with the
labels, ports and arguments of the vendors' manifests; the sources are those of `istio_netpol/platforms`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace
from tests.bundle.overlays import KUSTOMIZE, Built, built, objects_of

FOLDER = Path(__file__).parent
SHARED = "istio"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster: its dump, its overlay, its network plugin, and what the dump does not tell of DNS."""

    name: str
    overlay: str
    plugin: str
    components: tuple[str, ...] = ()
    dns_addresses: tuple[str, ...] = ()
    dns_pods: bool = True

    @property
    def dump(self) -> str:
        """Its objects, as manifests."""
        return "---\n".join((FOLDER / f"{name}.yaml").read_text() for name in (SHARED, self.name))

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [document for document in yaml.safe_load_all(self.dump) if document]

    @property
    def objects(self) -> tuple[Any, ...]:
        return _objects(self)

    def find(self, kind: str, name: str) -> dict[str, Any]:
        """One of its objects."""
        (found,) = [d for d in self.documents if d["kind"] == kind and d["metadata"]["name"] == name]
        return found

    def bundle(self, folder: Path, components: Sequence[str] = ("webhook",)) -> Built:
        """Its overlay with istio-netpol itself, with the values that the cluster's owner looks up, judged by
        its plugin."""
        overlay = self.filled(folder, components)
        bundle = built(overlay)
        settings = bundle.settings
        dns = replace(settings.dns, addresses=self.dns_addresses, node_local_address="", pods=self.dns_pods)
        network = replace(settings.network, plugin=self.plugin)
        return replace(bundle, settings=replace(settings, dns=dns, network=network))

    def filled(self, folder: Path, components: Sequence[str] = ("webhook",)) -> Path:
        """A copy of its overlay in which every value is set, as values.yaml says how to."""
        tree = folder / "kustomize"
        shutil.copytree(KUSTOMIZE, tree)
        overlay = tree / "overlays" / self.overlay
        file = overlay / "kustomization.yaml"
        listed = "".join(f"- ../../components/{name}\n" for name in (*components, *self.components))
        file.write_text(file.read_text().replace("components:\n", f"components:\n{listed}"))
        values_file = overlay / "values.yaml"
        values = yaml.safe_load(values_file.read_text())
        values["apiServer"].setdefault("peers", self._api_server())
        if self.overlay in {"eks-auto", "gardener", "gke"}:
            values["dns"] = {**(values["dns"] or {}), "serviceAddress": f"{self._dns_service()}/32"}
        values_file.write_text(yaml.safe_dump(values))
        return overlay

    def _api_server(self) -> list[dict[str, Any]]:
        if self.plugin == "aws-vpc-cni":
            return _blocks(self.find("Service", "kubernetes")["spec"]["clusterIPs"])
        endpoints = self.find("EndpointSlice", "kubernetes")["endpoints"]
        return _blocks(address for endpoint in endpoints for address in endpoint["addresses"])

    def _dns_service(self) -> str:
        if self.dns_pods:
            return str(self.find("Service", "kube-dns")["spec"]["clusterIP"])
        range_ = str(self.find("Service", "kubernetes")["spec"]["clusterIP"]).rpartition(".")[0]
        return f"{range_}.10"


def _blocks(addresses: Any) -> list[dict[str, Any]]:
    return [{"ipBlock": {"cidr": f"{address}/32"}} for address in addresses]


@cache
def _objects(cluster: Cluster) -> tuple[Any, ...]:
    return objects_of(cluster.dump)


CLUSTERS = (
    Cluster("generic", "generic", "calico"),
    Cluster("generic-cilium", "generic", "cilium-nodes"),
    Cluster("kind", "kind", "kindnet"),
    Cluster("k3d", "k3d", "kube-router"),
    Cluster("gardener", "gardener", "calico"),
    Cluster("gardener-node-local", "gardener", "calico"),
    Cluster("gardener-ipvs", "gardener", "calico"),
    Cluster("gardener-cilium", "gardener", "cilium-nodes"),
    Cluster("eks", "eks", "aws-vpc-cni"),
    Cluster("eks-auto", "eks-auto", "aws-vpc-cni", dns_addresses=("10.100.0.10",), dns_pods=False),
    Cluster("gke", "gke", "gke-dataplane-v2"),
    Cluster("gke-node-local", "gke", "gke-dataplane-v2"),
    Cluster(
        "gke-cloud-dns",
        "gke",
        "gke-dataplane-v2",
        dns_addresses=("169.254.169.254", "169.254.20.10"),
        dns_pods=False,
    ),
    Cluster("gke-calico", "gke", "calico"),
    Cluster("aks", "aks", "azure-cilium", dns_addresses=("169.254.10.10", "169.254.10.11")),
    Cluster("aks-npm", "aks", "azure-npm"),
    Cluster("openshift", "openshift", "ovn-kubernetes"),
)
BY_NAME = {cluster.name: cluster for cluster in CLUSTERS}
