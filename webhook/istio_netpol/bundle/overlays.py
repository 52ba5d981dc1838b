"""Reads what the proof of an overlay needs besides its policies: its environment, its bases and values, and
the usual control plane, which stands for a cluster where none is given."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import yaml

from istio_netpol.bundle.kustomize import kustomization_of
from istio_netpol.errors import ToolError
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import ContainerPort, Workload
from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE, KymaWorkload

ENVIRONMENT_FILE = "environment.yaml"
"""Settings that hold where the overlay is applied."""

VALUES_FILE = "values.yaml"


def environment_of(folder: Path) -> Path | None:
    """The overlay's own settings file, if it has one."""
    file = folder / ENVIRONMENT_FILE
    return file if os.path.isfile(file) else None


def required_kustomization(folder: Path) -> Path:
    """The folder's kustomization. Raises ToolError where it is not a folder that kustomize builds."""
    if not os.path.isdir(folder):
        raise ToolError(f"{folder}: is not a folder; name an overlay, a folder with a kustomization.yaml")
    found = kustomization_of(folder)
    if found is None:
        raise ToolError(f"{folder}: has no kustomization.yaml; name an overlay")
    return found


def bases_of(folder: Path) -> tuple[Path, ...]:
    """The local folders among the overlay's resources: what its components and patches work on."""
    named = [folder / entry for entry in _listed(folder, "resources") if isinstance(entry, str)]
    return tuple(path for path in named if os.path.isdir(path))


def require_effective_patches(folder: Path, policies: Iterable[NetworkPolicy]) -> None:
    """Raises ToolError where a patch of the overlay's own is for NetworkPolicies and selects none of these:
    kustomize builds without the patch, and says nothing."""
    known = tuple(policies)
    for index, patch in enumerate(_listed(folder, "patches")):
        target = patch.get("target") if isinstance(patch, dict) else None
        if not isinstance(target, dict) or target.get("kind") != "NetworkPolicy" or _deletes(patch):
            continue
        if not any(_selects(target, selector) for selector in known):
            wanted = ", ".join(f"{key} {value}" for key, value in sorted(target.items()) if key != "kind")
            raise ToolError(
                f"{required_kustomization(folder)}: patches[{index}].target selects no NetworkPolicy "
                f"({wanted or 'of any name'}), so the patch does nothing; correct the name, or remove it"
            )


def _listed(folder: Path, field: str) -> Iterator[Any]:
    """The entries of a list in the overlay's kustomization; none where kustomize, which reads it as well,
    says what is wrong."""
    try:
        content: Any = yaml.safe_load(required_kustomization(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return
    entries = content.get(field) if isinstance(content, dict) else None
    yield from entries if isinstance(entries, list) else ()


def _deletes(patch: JsonObject) -> bool:
    """Whether the patch takes its targets away, so that none of them is left to be found."""
    return "$patch: delete" in str(patch.get("patch", ""))


def _selects(target: JsonObject, policy: NetworkPolicy) -> bool:
    """Whether the target names the policy. Names are regular expressions for the whole name (kustomize,
    `Selector`); what labels and annotations it asks for is left to kustomize."""
    asked = ((target.get("name"), policy.name), (target.get("namespace"), policy.namespace))
    try:
        return all(not pattern or re.fullmatch(str(pattern), name) for pattern, name in asked)
    except re.error:
        return True


def dns_addresses(folder: Path) -> tuple[str, ...]:
    """The addresses at which DNS answers, as `dns` of the overlay's values names them. None where it has no
    values, or where they can't be read: the build tells what is wrong with them."""
    try:
        content: Any = yaml.safe_load((folder / VALUES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return ()
    dns = content.get("dns") if isinstance(content, dict) else None
    if not isinstance(dns, dict):
        return ()
    peers = dns.get("peers")
    blocks = (
        [peer.get("ipBlock") for peer in peers if isinstance(peer, dict)] if isinstance(peers, list) else []
    )
    named = [dns.get("serviceAddress"), *(block.get("cidr") for block in blocks if isinstance(block, dict))]
    return tuple(address for value in named if (address := _single(value)))


def _single(cidr: object) -> str:
    """The address of a range that has only one; otherwise None."""
    try:
        network = ip_network(str(cidr))
    except ValueError:
        return ""
    return str(network.network_address) if network.num_addresses == 1 else ""


OF_THE_USUAL_CONTROL_PLANE = frozenset({"istio-controller-manager", "api-gateway-controller-manager"})
"""Workloads that are there in any case."""

STANDARD = "(the usual control plane)"
"""The file of what is read from the package."""


def usual_control_plane(bundle: Sequence[ClusterObject]) -> tuple[ClusterObject, ...]:
    """The usual control plane; with Kyma and those of its modules that the bundle has policies for."""
    objects = load(read_documents(standard_control_plane(), STANDARD)).objects
    policies = [value for value in bundle if isinstance(value, NetworkPolicy)]
    if any(policy.namespace == KYMA_NAMESPACE for policy in policies):
        gateway = load(read_documents(kyma_gateway(), STANDARD)).objects
        return (*objects, *gateway, *_meant_modules(policies))
    return tuple(value for value in objects if value.ref.namespace != KYMA_NAMESPACE)


def standard_control_plane() -> bytes:
    """The manifests that stand for a control plane where none is given."""
    return files("istio_netpol.bundle").joinpath("control_plane.yaml").read_bytes()


def kyma_gateway() -> bytes:
    """The manifests of Kyma's default gateway and its health route."""
    return files("istio_netpol.bundle").joinpath("kyma_gateway.yaml").read_bytes()


def _meant_modules(policies: Iterable[NetworkPolicy]) -> tuple[Workload, ...]:
    """The workloads that policies of Kyma's namespace select by labels: who brings those runs the module."""
    selectors = [
        policy.pod_selector
        for policy in policies
        if policy.namespace == KYMA_NAMESPACE and not policy.pod_selector.is_everything
    ]
    return tuple(
        module_workload(known)
        for known in KYMA_WORKLOADS
        if known.name not in OF_THE_USUAL_CONTROL_PLANE
        and any(selector.matches(known.labels) for selector in selectors)
    )


def module_workload(known: KymaWorkload) -> Workload:
    """The pods of a workload, with their labels, their ports, and whether they get a sidecar."""
    return Workload(
        ObjectRef("apps/v1", known.kind, KYMA_NAMESPACE, known.name),
        {**known.labels, "sidecar.istio.io/inject": str(known.sidecar).lower()},
        ports=tuple(ContainerPort(port) for port in known.ports),
    )
