"""Says in whose name policies are written, and where only cluster administrators write."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.policies import Direction
from istio_netpol.model.settings import Settings


class Authority(Struct, frozen=True):
    """The namespaces whose words a door may act on: those of `speaking`, or all if it is None.

    An operator, who generates for all namespaces at once, acts on every word, and counts as the administrator
    where only an administrator may open an end."""

    speaking: frozenset[str] | None = None
    is_operator: bool = False

    def may_open(self, flow: RequiredFlow, direction: Direction) -> bool:
        """Whether this end of the flow may be opened."""
        words = flow.agreement.of(direction)
        if words is None:
            return False
        if self.is_operator:
            return True
        return bool(words) if self.speaking is None else not self.speaking.isdisjoint(words)


OPERATOR = Authority(is_operator=True)
ANYBODY = Authority()
"""Acts on the word of any namespace, whether policies are written for it or not."""


def authority_of(submitter: str, trusted: frozenset[str]) -> Authority:
    """The authority of whoever changes something in a namespace. Where only administrators write, it is
    everybody's."""
    return ANYBODY if submitter in trusted else Authority(frozenset({submitter}))


def trusted_namespaces(settings: Settings, root_namespace: str = "") -> frozenset[str]:
    """The namespaces that settings name, and the mesh's root namespace: `root_namespace` is what the mesh
    config of one of the others says it is, which may differ from the settings."""
    named = (*settings.admission.trusted_namespaces, settings.mesh.root_namespace, root_namespace)
    return frozenset(filter(None, named))
