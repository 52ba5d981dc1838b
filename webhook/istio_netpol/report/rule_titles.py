"""What each rule is about, in one sentence, the first of its page in `docs/rules`; and where the page is."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from istio_netpol.model.findings import Issue, RuleId
from istio_netpol.model.flows import FlowKind

TITLES: dict[RuleId, str] = {
    FlowKind.PROXY_TO_ISTIOD: "A sidecar needs its istiod.",
    FlowKind.GATEWAY_TO_ISTIOD: "A gateway needs its istiod.",
    FlowKind.DNS: "Injected pods, gateways and the control plane need DNS.",
    FlowKind.CLIENT_TO_GATEWAY: "Clients need the gateway's listener ports.",
    FlowKind.GATEWAY_TO_WORKLOAD: "A gateway needs the workloads that are exposed through it.",
    FlowKind.ISTIOD_TO_JWKS: "istiod fetches the keys that validate tokens.",
    FlowKind.WORKLOAD_TO_WORKLOAD: "A declared call between two workloads.",
    FlowKind.WORKLOAD_TO_EXTERNAL: "A declared call to an address outside the cluster.",
    FlowKind.TO_APISERVER: "The control plane needs the Kubernetes API server.",
    FlowKind.WEBHOOK_FROM_APISERVER: "The API server calls webhooks and APIs that pods serve.",
    FlowKind.EXT_AUTHZ: "External authorization asks another service.",
    FlowKind.TRACING: "Proxies send spans and access logs to a collector.",
    FlowKind.SCRAPE: "Metrics are scraped.",
    FlowKind.HBONE: "Ambient traffic arrives on TCP 15008.",
    Issue.JWKS_UNRESOLVABLE: "A JWKS host does not resolve.",
    Issue.HOST_UNRESOLVABLE: "A host that something calls does not resolve.",
    Issue.JWKS_HOST_REFUSED: "A JWKS host must not be opened.",
    Issue.FOREIGN_ROUTING: "Another tenant's object routes these calls.",
    Issue.ADDRESS_REFUSED: "An address must not be opened.",
    Issue.UNKNOWN_DESTINATION: "A destination is not there (yet).",
    Issue.BROAD_POLICY: "A rule opens more than any flow needs.",
    Issue.NEEDLESS_POLICY: "Other policies do all that a policy does.",
    Issue.OPEN_NAMESPACE: "No policy isolates any pod of a namespace.",
    Issue.IN_POD_PORT: "A rule names a port that never crosses the network.",
    Issue.IP_BLOCK_FOR_PODS: "Only an ipBlock allows traffic between pods.",
    Issue.CONSENT_MISSING: "One side has not agreed.",
    Issue.POLICY_SELECTS_NOTHING: "A policy, or a part of it, matches nothing.",
    Issue.POLICY_NOT_READ: "A policy of a network plugin selects an end of a required flow.",
    Issue.TIER_UNDECIDED: "It can't be told what a rule of a policy tier says of a required flow.",
    Issue.TUNNEL_PORT: "A rule names an application's port where ambient mode needs TCP 15008.",
    Issue.IMPACT: "A change would cut something that runs.",
    Issue.APPLY_ORDER: "A deny-all is applied before what it must not cut.",
    Issue.REMOVED_API: "An object is written for an API version that is not served any more.",
    Issue.ACCEPTANCE: "An annotation accepts nothing.",
    Issue.POLICY_REFUSED: "The cluster refuses a policy of the overlay, or could not be asked.",
    Issue.UNCOVERED_WORKLOAD: "A default-deny leaves a workload without what it needs.",
    Issue.NOT_JUDGED: "An object, or a part of it, was not judged.",
}


class RulePages(Struct, frozen=True):
    """The text of each rule's page, in Markdown, and where the pages are published: the address to which the
    id of a rule is added after a slash, empty where they are not."""

    texts: Mapping[RuleId, str] = field(default_factory=dict)
    published: str = ""

    def address(self, rule: RuleId) -> str:
        """Where the page of a rule is published; empty where it is not."""
        return f"{self.published.rstrip('/')}/{rule}" if self.published else ""


def command(rule: RuleId) -> str:
    """What prints the page of a rule, wherever the program is."""
    return f"istio-netpol rule {rule}"
