"""Finds whom an ALLOW rule of an AuthorizationPolicy lets in: its sources as peers of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.addresses import ALL_IPV4, ALL_IPV6, AddressSet, parse_networks
from istio_netpol.model.flows import AddressPeer, Peer, PodsPeer
from istio_netpol.model.istio_security import AuthorizationSource
from istio_netpol.model.workloads import Workload
from istio_netpol.trust.identities import (
    ANY,
    DEFAULT_TRUST_DOMAIN,
    is_excluded,
    named_namespace,
    pattern_matches,
    principal_matches,
    service_account_matches,
)


class Unreadable(Struct, frozen=True):
    """A value of a list that is not an address block."""

    value: str


def clients_of(
    view: MeshView, source: AuthorizationSource, own_namespace: str
) -> Iterator[Peer | Unreadable]:
    """The pods, or else the addresses, that a source means; nothing where it means anybody.

    Its lists hold together: a client has to be in each of them. `requestPrincipals` and `remoteIpBlocks`
    speak of the request, not of who opens the connection, so they name nobody. Exclusions (`notPrincipals` …)
    take away from what the other lists name, and name nobody themselves. An exclusion that can't be read
    might take away anybody.
    """
    listed, unreadable = parse_networks(source.ip_blocks)
    excluded, unknown_exclusions = parse_networks(source.not_ip_blocks)
    yield from map(Unreadable, (*unreadable, *unknown_exclusions))
    if unknown_exclusions:
        return
    if not _narrows(source):
        left = listed - excluded
        if left and not (listed >= ALL_IPV4 or listed >= ALL_IPV6):
            yield AddressPeer(left)
        return
    for pod in _candidates(view, source, own_namespace):
        if (
            view.in_mesh(pod)
            and _means(view, source, own_namespace, pod)
            and _within(pod, source, listed, excluded)
        ):
            yield PodsPeer(pod)


def _narrows(source: AuthorizationSource) -> bool:
    """Whether a list of identities says more than "anybody with an identity"."""
    lists = (source.principals, source.namespaces, source.service_accounts)
    return any(entries and ANY not in entries for entries in lists)


def _candidates(view: MeshView, source: AuthorizationSource, own_namespace: str) -> Iterable[Workload]:
    """The pods of the namespaces that the source names, or of all where it names one by a wildcard."""
    for homes in _namespaces(source, own_namespace):
        if homes and None not in homes:
            return [pod for home in sorted(filter(None, homes)) for pod in view.workloads(home)]
    return view.every_workload()


def _namespaces(source: AuthorizationSource, own_namespace: str) -> Iterator[set[str | None]]:
    yield {None if "*" in entry else entry for entry in source.namespaces}
    yield {entry.rpartition("/")[0] or own_namespace for entry in source.service_accounts}
    yield {named_namespace(entry) for entry in source.principals}


def _means(view: MeshView, source: AuthorizationSource, own_namespace: str, pod: Workload) -> bool:
    view.spend(_length(source))
    home, account = pod.namespace, pod.service_account
    domains = trust_domains(view, pod)
    if source.namespaces and not any(pattern_matches(entry, home) for entry in source.namespaces):
        return False
    if source.principals and not any(
        principal_matches(entry, domains, home, account) for entry in source.principals
    ):
        return False
    accounts = source.service_accounts
    if accounts and not any(
        service_account_matches(entry, own_namespace, home, account) for entry in accounts
    ):
        return False
    return not is_excluded(source, domains, own_namespace, home, account)


def _length(source: AuthorizationSource) -> int:
    """Entries with which each pod is compared."""
    lists = (source.principals, source.namespaces, source.service_accounts, source.ip_blocks)
    exclusions = (source.not_principals, source.not_namespaces, source.not_service_accounts)
    return sum(map(len, (*lists, *exclusions, source.not_ip_blocks)))


def _within(pod: Workload, source: AuthorizationSource, listed: AddressSet, excluded: AddressSet) -> bool:
    """Whether the packet source can be in `ipBlocks` and outside `notIpBlocks`; pods at unknown addresses
    count as if it were."""
    return not pod.addresses or any(
        (not source.ip_blocks or listed.contains(address)) and not excluded.contains(address)
        for address in pod.addresses
    )


def trust_domains(view: MeshView, workload: Workload) -> tuple[str, ...]:
    """The trust domain of the workload's control plane, and its aliases."""
    config = view.mesh_config(view.injection(workload).revision)
    if config is None:
        return (DEFAULT_TRUST_DOMAIN,)
    return (config.trust_domain, *config.trust_domain_aliases)
