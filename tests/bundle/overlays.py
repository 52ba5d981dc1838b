"""The overlays of this repository, with the values filled in that a user has to set, and their proofs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol.analysis.bundle_proof.bundle_report import BundleReport
from istio_netpol.analysis.bundle_proof.proof import verify
from istio_netpol.bundle.overlays import (
    dns_addresses,
    environment_of,
    standard_control_plane,
    usual_control_plane,
)
from istio_netpol.config.settings_file import load_settings
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.findings import Severity
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.resolution import Resolution
from istio_netpol.model.settings import Settings
from istio_netpol.policy_lint.rule_uses import with_rules

KUSTOMIZE = Path(__file__).parents[2] / "kustomize"
OVERLAYS = tuple(sorted(folder.name for folder in (KUSTOMIZE / "overlays").iterdir() if folder.is_dir()))
KYMA = " with Kyma"
"""Ends the name of an overlay that lists the component `kyma` besides."""

UNSET = {
    "apiServer.peers.0.ipBlock.cidr": "  # peers:\n  # - ipBlock:\n  #     cidr: 203.0.113.10/32\n",
    "dns.serviceAddress": "  # serviceAddress: 203.0.113.53/32\n",
}
"""The values that a user has to set, as values.yaml shows them."""


class Built(Struct, frozen=True):
    """An overlay's objects, the settings of its environment, and the manifests as they were built."""

    objects: tuple[Any, ...]
    settings: Settings
    manifests: str

    def proof(self, control_plane: Sequence[Any], objects: Sequence[Any] | None = None) -> BundleReport:
        """The proof of the overlay, or of other objects in its environment."""
        bundle = self.objects if objects is None else objects
        return verify(bundle, control_plane, self.objects, self.settings, NoResolver())

    def complaints(
        self, control_plane: Sequence[Any], objects: Sequence[Any] | None = None, *, warnings: bool = False
    ) -> list[str]:
        """The errors that the proof finds, and the warnings with them if those are asked for."""
        counted = {Severity.ERROR, Severity.WARNING} if warnings else {Severity.ERROR}
        found = self.proof(control_plane, objects).report.findings
        return [finding.message for finding in found if finding.severity in counted]

    def unnoticed(
        self, control_plane: Sequence[Any], weakened: Sequence[NetworkPolicy], *, warnings: bool = False
    ) -> list[str]:
        """Which rules, ports and peers of these policies could be taken away without a complaint; spans and
        metrics that are denied are warnings."""
        return [
            place
            for policy in weakened
            for place, weaker in weaker_ones(policy)
            if not self.complaints(control_plane, with_policy(self.objects, weaker), warnings=warnings)
        ]


class NoResolver:
    """A resolver for control planes, which name no hosts."""

    def resolve(self, host: str, asker: str = "", seconds: float = 0.0) -> Resolution:
        """Never asked."""
        raise AssertionError(f"a control plane asked for {host}")


def filled_tree(folder: Path) -> Path:
    """A copy of the bundle in which every value is set."""
    tree = folder / "kustomize"
    shutil.copytree(KUSTOMIZE, tree)
    for values in tree.glob("overlays/*/values.yaml"):
        text = values.read_text()
        for unset in UNSET.values():
            text = text.replace(unset, unset.replace("  # ", "  "))
        values.write_text(text)
    return tree


def kind_with_kyma(folder: Path) -> Path:
    """kind's overlay in a filled tree, with what Kyma adds to Istio."""
    overlay = filled_tree(folder) / "overlays" / "kind"
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("components:\n", "components:\n- ../../components/kyma\n"))
    return overlay


def kustomize_build(folder: Path) -> subprocess.CompletedProcess[str]:
    """`kustomize build`, whatever becomes of it."""
    require("kustomize")
    return subprocess.run(
        [str(located("kustomize")), "build", str(folder)], capture_output=True, text=True, check=False
    )


def objects_of(manifests: str | bytes) -> tuple[Any, ...]:
    """The decoded objects of manifests that hold no mistake."""
    data = manifests.encode() if isinstance(manifests, str) else manifests
    loaded = load(read_documents(data, "built.yaml"))
    assert not loaded.problems
    return loaded.objects


def built(folder: Path) -> Built:
    """An overlay of a filled tree, built."""
    result = kustomize_build(folder)
    assert result.returncode == 0, result.stderr
    environment = environment_of(folder)
    text = environment.read_text() if environment else None
    settings = load_settings(text, str(environment), dns_addresses(folder))
    return Built(objects_of(result.stdout), settings, result.stdout)


def standard() -> tuple[Any, ...]:
    """The control plane that stands in where none is given."""
    return objects_of(standard_control_plane())


def standard_for(bundle: Built) -> tuple[Any, ...]:
    """The control plane that stands in for a bundle, with what of Kyma it has policies for."""
    return usual_control_plane(bundle.objects)


def with_components(tree: Path, overlay: str, components: Sequence[str], values: str = "") -> Built:
    """An overlay with further components, listed before those that change DNS, and with further values."""
    file = tree / "overlays" / overlay / "kustomization.yaml"
    values_file = file.with_name("values.yaml")
    text, own_values = file.read_text(), values_file.read_text()
    added = "".join(f"- ../../components/{component}\n" for component in components)
    try:
        file.write_text(text.replace("components:\n", f"components:\n{added}"))
        values_file.write_text(own_values + values)
        return built(file.parent)
    finally:
        file.write_text(text)
        values_file.write_text(own_values)


def variants() -> list[str]:
    """Every overlay, and each for plain Istio also with the component `kyma`."""
    listings = {name: (KUSTOMIZE / "overlays" / name / "kustomization.yaml").read_text() for name in OVERLAYS}
    plain = [name for name in OVERLAYS if "kyma" not in listings[name]]
    return sorted([*OVERLAYS, *(name + KYMA for name in plain)])


def built_variant(tree: Path, variant: str, *components: str) -> Built:
    """An overlay as one of `variants` has it, with further components."""
    kyma = ["kyma"] if variant.endswith(KYMA) else []
    return with_components(tree, variant.removesuffix(KYMA), [*kyma, *components])


def policies(objects: Sequence[Any]) -> list[NetworkPolicy]:
    """Those of the objects that are policies."""
    return [resource for resource in objects if isinstance(resource, NetworkPolicy)]


def with_policy(objects: Sequence[Any], policy: NetworkPolicy) -> list[Any]:
    """The objects with another policy of the same name."""
    return [
        policy if isinstance(resource, NetworkPolicy) and resource.key == policy.key else resource
        for resource in objects
    ]


def weaker_ones(policy: NetworkPolicy) -> Iterator[tuple[str, NetworkPolicy]]:
    """The policy without one of its rules, and without one port or one peer of a rule."""
    for direction in Direction:
        rules = policy.rules(direction)
        for index, rule in enumerate(rules):
            before, after = rules[:index], rules[index + 1 :]
            place = f"{policy.key} {direction.lower()}[{index}]"
            yield place, with_rules(policy, direction, before + after)
            shorter = [
                *(replace(rule, ports=_without(rule.ports, port)) for port in rule.ports[1:] and rule.ports),
                *(replace(rule, peers=_without(rule.peers, peer)) for peer in rule.peers[1:] and rule.peers),
            ]
            for kept in shorter:
                yield f"{place} as {kept}", with_rules(policy, direction, (*before, kept, *after))


def _without(parts: tuple[Any, ...], part: object) -> tuple[Any, ...]:
    return tuple(other for other in parts if other is not part)
