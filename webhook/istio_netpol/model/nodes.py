"""The Nodes of a cluster, as far as a flow depends on them."""

from __future__ import annotations

from msgspec import Struct, field

from istio_netpol.model.addresses import Address
from istio_netpol.model.labels import Labels
from istio_netpol.model.references import ObjectRef


class NodeAddresses(Struct, frozen=True):
    """The addresses of one Node: the peers that hostNetwork pods and kubelets are seen as, within the cluster
    by the `internal` ones."""

    ref: ObjectRef
    addresses: tuple[Address, ...]
    pod_cidrs: tuple[str, ...] = ()
    labels: Labels = field(default_factory=dict)
    internal: tuple[Address, ...] = ()
