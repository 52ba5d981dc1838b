"""The `from` and `to` of a rule: whether they name a pod by selectors, and which addresses they name."""

from __future__ import annotations

from functools import lru_cache

from istio_netpol.model.addresses import Address, AddressSet
from istio_netpol.model.policies import PolicyPeer
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.ip_blocks import POSSIBLE_ADDRESSES
from istio_netpol.state.snapshot import Snapshot


def names_pod(peer: PolicyPeer, policy_namespace: str, pod: Workload, snapshot: Snapshot) -> bool:
    """Whether one element of `from` or `to` selects a pod; `pod` must not be in the host's network."""
    if peer.ip_block is not None:
        # "If this field is set then neither of the other fields can be."
        return False
    if peer.namespace_selector is None:
        # "Otherwise it selects the pods matching podSelector in the policy's own namespace."
        if peer.pod_selector is None or pod.namespace != policy_namespace:
            return False
    elif not peer.namespace_selector.matches(snapshot.namespace(pod.namespace).labels):
        return False
    # "If podSelector is also set, [it] selects the pods matching podSelector in the namespaces selected by
    # namespaceSelector. Otherwise it selects all pods in the namespaces selected by namespaceSelector."
    return peer.pod_selector is None or peer.pod_selector.matches(pod.labels)


def addresses_of(workload: Workload) -> AddressSet:
    """The addresses on packets of the workload's pods, for hostNetwork pods the nodes'; empty if unknown."""
    return _address_set(workload.node_addresses if workload.host_network else workload.addresses)


def covers(named: AddressSet, addresses: AddressSet) -> bool:
    """Whether `named` admits a peer at all of these addresses, or at unknown ones where `addresses` is empty.

    A class of pods has an address a replica, on dual-stack clusters one in each family. A connection uses one
    of them and nobody knows which, so all have to be admitted. At unknown addresses only a complete family
    will do, apart from addresses that no pod can have. One family is enough, since nothing says that the
    cluster has both.
    """
    if addresses:
        return addresses <= named
    return any(family <= named for family in POSSIBLE_ADDRESSES)


@lru_cache(maxsize=16384)
def _address_set(addresses: tuple[Address, ...]) -> AddressSet:
    return AddressSet.of(*addresses)
