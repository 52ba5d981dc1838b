"""Which arguments of a command are PATHs, and which name objects, by kinds as kubectl takes them: with
plurals, short names and groups."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache

from istio_netpol.analysis.arguments.objects import ObjectName
from istio_netpol.bundle.sources import SUFFIXES
from istio_netpol.errors import InputError, Problem
from istio_netpol.manifests.decode import DECODERS
from istio_netpol.model.references import GroupKind


def paths_and_objects(
    arguments: Sequence[str], namespace: str
) -> tuple[tuple[str, ...], tuple[ObjectName, ...]]:
    """What is there as a file or folder is a PATH, and so is all that does not look like an object; objects
    that name no namespace are in `namespace`. Raises InputError with every argument that is neither.

    An object is `KIND/NAME`, `NAMESPACE/KIND/NAME` as reports write it, `KIND/NAMESPACE/NAME` as annotations
    do, or a kind followed by names.
    """
    splitter = _Splitter(namespace)
    for argument in arguments:
        splitter.take(argument)
    splitter.end()
    if splitter.problems:
        raise InputError(splitter.problems)
    return tuple(splitter.paths), tuple(splitter.objects)


class _Splitter:
    def __init__(self, namespace: str) -> None:
        self.paths: list[str] = []
        self.objects: list[ObjectName] = []
        self.problems: list[Problem] = []
        self._namespace = namespace
        self._kind = ""
        self._has_name = True

    def take(self, argument: str) -> None:
        if argument in ("", "-") or os.path.lexists(argument):
            self.paths.append(argument)
            return
        parts = argument.split("/")
        if not _may_be_object(argument):
            self.paths.append(argument)
        elif len(parts) == 1:
            self._take_word(argument)
        elif found := next(_readings(parts), None):
            kind, namespace, name = found
            self._add(argument, kind, namespace or self._namespace, name)
        elif remedy := _nearest(parts):
            self._wrong(
                argument, "is neither a file or folder that exists nor an object of a known kind", remedy
            )
        else:
            self.paths.append(argument)

    def end(self) -> None:
        """No argument follows."""
        if not self._has_name:
            self._wrong(self._kind, "is a kind without a name", f"write {self._kind}/NAME")

    def _take_word(self, word: str) -> None:
        if kinds_called(word) and not (self._kind and not self._has_name):
            self.end()
            self._kind, self._has_name = word, False
        elif self._kind:
            self._has_name = True
            self._add(f"{self._kind}/{word}", self._kind, self._namespace, word)
        else:
            self.paths.append(word)

    def _add(self, written: str, kind: str, namespace: str, name: str) -> None:
        self.objects.append(ObjectName(written, kinds_called(kind), namespace, name))

    def _wrong(self, argument: str, cause: str, remedy: str) -> None:
        self.problems.append(Problem("arguments", None, None, None, argument, cause, remedy))


def _may_be_object(argument: str) -> bool:
    parts = argument.split("/")
    is_file = argument.endswith(SUFFIXES) or argument.startswith((".", "~"))
    return all(parts) and len(parts) <= 3 and not is_file and not os.path.isdir(parts[0])


def _readings(parts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Kind, namespace and name, as the parts may be meant."""
    if len(parts) == 2:
        candidates = [(parts[0], "", parts[1])]
    else:
        candidates = [(parts[1], parts[0], parts[2]), (parts[0], parts[1], parts[2])]
    return (found for found in candidates if kinds_called(found[0]))


def _nearest(parts: Sequence[str]) -> str:
    """What may be meant by a kind that is none; empty where nothing is near."""
    position = len(parts) - 2
    close = get_close_matches(
        parts[position].lower().partition(".")[0], list(_kind_words()), n=1, cutoff=0.75
    )
    if not close:
        return ""
    return f"did you mean {'/'.join([*parts[:position], close[0], *parts[position + 1 :]])}?"


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


def _kind_words() -> Iterable[str]:
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
    yield _plural_of(kind)
    yield from _SHORT_NAMES.get(kind, ())


def _plural_of(kind: str) -> str:
    """The plural of a kind, as the API spells it."""
    word = kind.lower()
    if word.endswith("ss"):
        return f"{word}es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return word if word.endswith("s") else f"{word}s"
