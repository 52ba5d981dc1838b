"""Peer identities in AuthorizationPolicies: which workloads a `principals`, `namespaces` or `serviceAccounts`
entry means."""

from __future__ import annotations

from collections.abc import Sequence

from istio_netpol.model.istio_security import AuthorizationSource

DEFAULT_TRUST_DOMAIN = "cluster.local"
"""Stands for the mesh's own trust domain, whatever that is called
(`pilot/pkg/security/trustdomain/bundle.go`, Istio 1.28)."""

ANY = "*"


def pattern_matches(pattern: str, value: str) -> bool:
    """Istio's string match: exact, `prefix*`, `*suffix`, or `*` for any value that is present.

    A pattern has one wildcard: what follows a leading `*` is taken literally, so `*/ns/shop/sa/*` matches
    nobody (`pilot/pkg/security/authz/matcher/string.go`, Istio 1.28).
    """
    if pattern == ANY:
        return bool(value)
    if pattern.startswith("*"):
        return value.endswith(pattern[1:])
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return pattern == value


def has_two_wildcards(pattern: str) -> bool:
    """Whether the author most likely expects a match at both ends, which Istio does not have."""
    return len(pattern) > 1 and pattern.startswith("*") and pattern.endswith("*")


def principal_matches(
    principal: str, trust_domains: Sequence[str], namespace: str, service_account: str
) -> bool:
    """Whether pods of a service account have the identity that a `principals` entry means.

    `trust_domains` are the mesh's own one and its aliases, which count as the same. Only a complete principal
    has its trust domain exchanged; a prefix such as `cluster.local/ns/shop/*` is compared as it is written.
    """
    parts = principal.split("/")
    if len(parts) != 5 or parts[0] == ANY:
        return any(
            pattern_matches(principal, f"{domain}/ns/{namespace}/sa/{service_account}")
            for domain in trust_domains
        )
    local = parts[0] == DEFAULT_TRUST_DOMAIN or any(
        pattern_matches(parts[0], domain) for domain in trust_domains
    )
    return local and pattern_matches("/".join(parts[1:]), f"ns/{namespace}/sa/{service_account}")


def service_account_matches(entry: str, own_namespace: str, namespace: str, service_account: str) -> bool:
    """`serviceAccounts` entries are `namespace/name`, or `name` in the policy's own namespace; they have no
    wildcards."""
    expected, _, name = entry.rpartition("/")
    return (expected or own_namespace, name) == (namespace, service_account)


def is_excluded(
    source: AuthorizationSource,
    trust_domains: Sequence[str],
    own_namespace: str,
    namespace: str,
    service_account: str,
) -> bool:
    """Whether a source's `not` lists take away the pods of a service account, which its other lists name."""
    return (
        any(pattern_matches(entry, namespace) for entry in source.not_namespaces)
        or any(
            principal_matches(entry, trust_domains, namespace, service_account)
            for entry in source.not_principals
        )
        or any(
            service_account_matches(entry, own_namespace, namespace, service_account)
            for entry in source.not_service_accounts
        )
    )


def named_namespace(principal: str) -> str | None:
    """The only namespace that a complete principal can mean; None where it may be any."""
    parts = principal.split("/")
    complete = len(parts) == 5 and parts[1] == "ns" and parts[3] == "sa"
    return parts[2] if complete and "*" not in parts[2] else None
