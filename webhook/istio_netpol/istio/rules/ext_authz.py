"""AuthorizationPolicy with action CUSTOM: the proxies that enforce it ask the Service of an extension
provider.

The provider is defined in the mesh config, which only administrators write: they offer it to the whole mesh,
so its Service counts as agreed. Pods in ambient mode ask through their waypoint: ztunnel itself has no CUSTOM
action.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.extension_providers import find_provider, missing_provider, provider_backends
from istio_netpol.istio.policy_attachment import enforcing_proxies, is_mesh_wide
from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.istio_security import AuthorizationPolicy

FIELD = "spec.provider.name"


def outcomes(policy: AuthorizationPolicy, view: MeshView) -> Iterator[Outcome]:
    """Flows from every enforcing proxy to the provider; a finding where the provider or its Service is not
    known."""
    if policy.action != "CUSTOM":
        return
    problems: dict[str, None] = {}
    for client in enforcing_proxies(view, policy):
        provider = find_provider(view, client, policy.provider)
        if provider is None:
            if sentence := missing_provider(view, client, policy.provider):
                problems[sentence] = None
            continue
        found = tuple(provider_backends(view, client, provider))
        if not found:
            problems[
                f"nothing answers for provider {provider.name} at {provider.service} port {provider.port}"
            ] = None
        for wire in found:
            yield RequiredFlow(
                kind=FlowKind.EXT_AUTHZ,
                object=policy.ref,
                source=PodsPeer(client),
                destination=wire.peer,
                protocol=wire.protocol,
                port=wire.port,
                reason=f"{policy.ref} lets extension provider {provider.name} decide on every request",
                shared=is_mesh_wide(view, policy),
                field=FIELD,
                via=Via(administered=True),
            )
    for sentence in problems:
        yield unknown(policy.ref, FIELD, sentence)


RULE = Rule(
    name="ext-authz",
    kind=FlowKind.EXT_AUTHZ,
    subjects=(AuthorizationPolicy,),
    sources=(
        "https://istio.io/latest/docs/tasks/security/authorization/authz-custom/ (Istio 1.28)",
        "https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig-ExtensionProvider "
        "(Istio 1.28)",
        "https://istio.io/latest/docs/ambient/usage/l4-policy/ (Istio 1.28): CUSTOM is not supported by "
        "ztunnel",
    ),
    outcomes=outcomes,
)
