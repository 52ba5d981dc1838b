"""Names of Kubernetes objects, and where in a file they were read."""

from __future__ import annotations

import re

from msgspec import Struct

ASSUMED = "(assumed)"
"""The file of what was read nowhere."""
_NAMESPACE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST_NAMESPACE_NAME = 63

DEFAULT_NAMESPACE = "default"
"""Where kubectl puts an object that names no namespace, and looks if a context names none."""

KUBERNETES_SERVICE = (DEFAULT_NAMESPACE, "kubernetes")
"""Namespace and name of the API server's own Service, and of its EndpointSlices."""

NAMESPACE_REMEDY = "use at most 63 lower-case letters, digits and '-'"
"""How a namespace may be called (RFC 1123, DNS label)."""


def is_namespace_name(text: str) -> bool:
    """Whether a namespace can be called so."""
    return len(text) <= _LONGEST_NAMESPACE_NAME and _NAMESPACE_NAME.fullmatch(text) is not None


ObjectKey = tuple[str, str, str, str]
"""Group, kind, namespace and name of an object: the same at every version of its API."""


GroupKind = tuple[str, str]
"""The API group and the kind of objects."""


class ObjectRef(Struct, frozen=True):
    """Names one object; equality ignores the file, so that the same object read twice is the same reference.

    `namespace` is empty for cluster-scoped objects; `line` is 1-based and 0 where the object came from no
    file. `accepts` is the text of its annotation by which findings are accepted (see `acceptances`).
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    file: str = ""
    line: int = 0
    accepts: str = ""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, ObjectRef)
            and self.name == other.name
            and self.namespace == other.namespace
            and self.kind == other.kind
            and self.api_version == other.api_version
        )

    def __hash__(self) -> int:
        return hash((self.api_version, self.kind, self.namespace, self.name))

    @property
    def group(self) -> str:
        """The API group without its version: `apps`, `networking.istio.io`, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def key(self) -> ObjectKey:
        """Its identity across versions of the API."""
        return (self.group, self.kind, self.namespace, self.name)

    @property
    def is_assumed(self) -> bool:
        """Whether the object was read nowhere: it stands in for one that the input lacks."""
        return self.file == ASSUMED

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


class TargetRef(Struct, frozen=True):
    """One entry of `targetRefs`, or a policy's `targetRef`."""

    group: str
    kind: str
    name: str
    namespace: str = ""
