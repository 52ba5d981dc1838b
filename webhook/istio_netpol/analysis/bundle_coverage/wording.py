"""Sentences about what a default-deny takes from a workload. Read each aloud."""

from __future__ import annotations

from collections.abc import Sequence

from istio_netpol.analysis.bundle_coverage.results import IsolatedSide, Listening, SideState, WebhookCaller
from istio_netpol.model.labels import Selector
from istio_netpol.model.own_names import CALLED_BY, CALLS
from istio_netpol.model.verdicts import RuleRef


def cut(side: IsolatedSide) -> str:
    """The finding about a side that loses something."""
    direction = side.direction.lower()
    extent = "nothing" if side.state is SideState.UNCOVERED else "not all that it needs"
    denied = f"{side.workload}: its {direction} is denied by default, and policies open {extent}"
    lost = f"; it loses {'; '.join(side.loses)}" if side.loses else ""
    anyway = _anyway(side)
    return f"{denied}{lost}{anyway}; {side.remedy}"


def _anyway(side: IsolatedSide) -> str:
    return without_overlay(side.policies) if side.is_denied_anyway else ""


def policies(names: Sequence[str]) -> str:
    """`NetworkPolicy a/b`, `NetworkPolicies a/b, a/c`."""
    return f"NetworkPolic{'y' if len(names) == 1 else 'ies'} {', '.join(names)}"


def port_lost(port: Listening) -> str:
    """A port that nobody reaches, with the Services that lead there."""
    if not port.services:
        return f"clients on {port}"
    noun = "Service" if len(port.services) == 1 else "Services"
    return f"clients on {port} ({noun} {', '.join(port.services)})"


def metrics_lost(port: Listening) -> str:
    """A port on which nobody can scrape."""
    return f"scrapes of its metrics on {port}"


def take(component: str) -> str:
    """The advice to take a component."""
    return f"take the component {component} into the overlay if they are scraped"


def caller_lost(caller: WebhookCaller) -> str:
    """An object for whose sake the API server calls a port that it can't reach."""
    effect = "requests are refused" if caller.fails_closed else "it goes on without an answer"
    return f"calls of the API server to TCP {caller.port} for {caller.object}, without which {effect}"


def open_ingress(selector: Selector | None, ports: Sequence[Listening]) -> str:
    """How somebody lets callers in."""
    where = ", ".join(str(port) for port in ports if not port.is_open)
    to = f" to {where}" if where else ""
    return (
        f"if something calls it, add a policy for {_pods(selector)} that lets its callers in{to}, or name "
        f"them in the annotation {CALLED_BY} and let `istio-netpol generate` write it"
    )


def open_egress(selector: Selector | None) -> str:
    """How somebody lets the pods out."""
    return (
        f"add a policy for {_pods(selector)} that lets it out to what it calls, or name that in the "
        f"annotation {CALLS} and let `istio-netpol generate` write it"
    )


def _pods(selector: Selector | None) -> str:
    labels = selector.match_labels if selector else ()
    text = ", ".join(f"{key}: {value}" for key, value in labels)
    return f"podSelector {{{text}}}" if text else "its pods"


def without_overlay(names: Sequence[str]) -> str:
    """Added to a denial that the overlay does not bring about."""
    return f"; that is so without the overlay too, by {policies(names)}" if names else ""


def only_on_paper(rules: Sequence[RuleRef]) -> str:
    """Added to a denial of what some rule seems to allow."""
    if not rules:
        return ""
    named = ", ".join(sorted(map(str, rules)))
    addresses = sorted({text for ref in rules for text in _addresses(ref)})
    return (
        f"; {named} opens it on paper only: {', '.join(addresses)} is the address of a Service, from which "
        "nobody connects"
    )


def _addresses(ref: RuleRef) -> Sequence[str]:
    rule = ref.policy.rules(ref.direction)[ref.index]
    return tuple(rule.addresses.cidrs())
