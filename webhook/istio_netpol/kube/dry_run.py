"""Tries policies on a cluster without storing anything: server-side apply with `dryRun=All`.

The whole of admission is asked, webhooks included, as for a real request, and nothing is stored (Kubernetes,
API concepts, "Dry-run"). It takes the right to create and patch NetworkPolicies: "authorization for dry-run
and non-dry-run requests is identical".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.policy_store import APPLY
from istio_netpol.kube.resources import NETWORK_POLICIES
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import DryRunOutcome, Tried

MANAGER = "istio-netpol-dry-run"
"""Under which nothing is ever stored. Conflicts with other managers are not what is asked."""

QUERY = (("dryRun", "All"), ("fieldManager", MANAGER), ("force", "true"))

_RIGHT = re.compile(r"cannot (\w+) resource")
"""How the API server words a missing right (kubernetes/apiserver pkg/endpoints/handlers/responsewriters
errors.go, `forbiddenMessage`)."""

_ADMISSION_POLICY = re.compile(r"(ValidatingAdmissionPolicy '[^']+')")
_WEBHOOK = re.compile(r'(admission webhook "[^"]+") denied')
_REFUSALS = frozenset({400, 403, 409, 413, 422})
"""With which admission refuses: a policy of the cluster may choose Unauthorized besides."""

_UNAUTHORIZED, _NOT_FOUND = 401, 404


def dry_run(connection: ApiConnection, policies: Iterable[NetworkPolicy]) -> Iterator[Tried]:
    """Tries one policy after the other. Raises nothing: what could not be tried is a result."""
    for policy in policies:
        path = NETWORK_POLICIES.path(policy.namespace, policy.name)
        body = json.dumps(encode_policy(policy)).encode()
        try:
            connection.send("PATCH", path, body, APPLY, QUERY)
        except ApiError as error:
            yield _answer(policy, error)
        else:
            yield Tried(policy, DryRunOutcome.ACCEPTED)


def _answer(policy: NetworkPolicy, error: ApiError) -> Tried:
    message = str(error)
    admission = _ADMISSION_POLICY.search(message) or _WEBHOOK.search(message)
    if admission and error.status in _REFUSALS | {_UNAUTHORIZED}:
        return Tried(policy, DryRunOutcome.REFUSED, admission[1], message)
    right = _RIGHT.search(message)
    if right and error.status == 403:
        needs = f"needs {right[1]} on networkpolicies.networking.k8s.io in {policy.namespace}"
        return Tried(policy, DryRunOutcome.NOT_TRIED, message=needs)
    if error.status == _NOT_FOUND:
        missing = f"namespace {policy.namespace} is not there yet"
        return Tried(policy, DryRunOutcome.NOT_TRIED, message=missing)
    if error.status in _REFUSALS and "dry run" not in message:
        return Tried(policy, DryRunOutcome.REFUSED, message=message)
    return Tried(policy, DryRunOutcome.NOT_TRIED, message=message)
