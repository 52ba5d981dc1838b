"""Reads names of kinds on a command line, as kubectl takes them: with plurals, short names and groups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from istio_netpol.manifests.decode import DECODERS

GroupKind = tuple[str, str]

_VERSION = re.compile(r"v[0-9]+((alpha|beta)[0-9]+)?")

_SHORT_NAMES: dict[str, tuple[str, ...]] = {
    "AdminNetworkPolicy": ("anp",),
    "AuthorizationPolicy": ("ap",),
    "BaselineAdminNetworkPolicy": ("banp",),
    "CiliumClusterwideNetworkPolicy": ("ccnp",),
    "CiliumNetworkPolicy": ("cnp", "ciliumnp"),
    "ClusterNetworkPolicy": ("cnp",),
    "ConfigMap": ("cm",),
    "CronJob": ("cj",),
    "CustomResourceDefinition": ("crd", "crds"),
    "DaemonSet": ("ds",),
    "Deployment": ("deploy",),
    "DestinationRule": ("dr",),
    "Endpoints": ("ep",),
    "Gateway": ("gw", "gtw"),
    "GatewayClass": ("gc",),
    "Ingress": ("ing",),
    "ListenerSet": ("lset",),
    "Namespace": ("ns",),
    "NetworkPolicy": ("netpol",),
    "Node": ("no",),
    "PeerAuthentication": ("pa",),
    "Pod": ("po",),
    "ReferenceGrant": ("refgrant",),
    "ReplicaSet": ("rs",),
    "ReplicationController": ("rc",),
    "RequestAuthentication": ("ra",),
    "Rollout": ("ro",),
    "Service": ("svc",),
    "ServiceEntry": ("se",),
    "StatefulSet": ("sts",),
    "Telemetry": ("telemetry",),
    "VirtualService": ("vs",),
    "WorkloadEntry": ("we",),
    "XListenerSet": ("lset",),
}
"""The short names of kinds: of Kubernetes 1.36 (`kubectl api-resources`), and of the custom resources of
Istio 1.28, the Gateway API 1.4, the network policy API, Cilium 1.18 and Argo Rollouts."""


def kinds_called(word: str) -> frozenset[GroupKind]:
    """The kinds that a word may mean: `deploy`, `Deployment`, `deployments.apps`, `deployments.v1.apps`;
    none where it is not a kind that rules read."""
    name, _, rest = word.lower().partition(".")
    found = _by_word().get(name, frozenset())
    version, _, group = rest.partition(".")
    group = group if _VERSION.fullmatch(version) else rest
    return frozenset(kind for kind in found if not rest or (kind[0] and kind[0] == group))


def kind_words() -> Iterable[str]:
    """Every word that means a kind."""
    return _by_word()


@cache
def _by_word() -> dict[str, frozenset[GroupKind]]:
    found: dict[str, set[GroupKind]] = {}
    for kind in DECODERS:
        for word in _words(kind[1]):
            found.setdefault(word, set()).add(kind)
    return {word: frozenset(kinds) for word, kinds in found.items()}


def _words(kind: str) -> Iterator[str]:
    yield kind.lower()
    yield plural_of(kind)
    yield from _SHORT_NAMES.get(kind, ())


def plural_of(kind: str) -> str:
    """The plural of a kind, as the API spells it."""
    word = kind.lower()
    if word.endswith("ss"):
        return f"{word}es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return word if word.endswith("s") else f"{word}s"
