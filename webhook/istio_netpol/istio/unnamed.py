"""Findings for needs that can't be named as a flow."""

from __future__ import annotations

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.references import ObjectRef


def unknown(ref: ObjectRef, field: str, sentence: str, severity: Severity = Severity.WARNING) -> Finding:
    """A finding for a destination or a source that the object names and that can't be found; `sentence`
    starts with its name."""
    return Finding(Issue.UNKNOWN_DESTINATION, severity, ref, f"{ref}: {field}: {sentence}", field=field)


def not_granted(ref: ObjectRef, field: str, sentence: str) -> Finding:
    """A finding for a destination whose namespace has not agreed, so that Istio itself refuses it."""
    return Finding(Issue.CONSENT_MISSING, Severity.WARNING, ref, f"{ref}: {field}: {sentence}", field=field)


def foreign_routing(ref: ObjectRef, field: str, written: str, router: ObjectRef) -> Finding:
    """A finding for routing of another tenant, which proxies follow and policies do not."""
    sentence = (
        f"{ref}: {field}: {written}: {router} of another namespace says where sidecars connect for this "
        "host; no policy follows it. Limit its exportTo, or name the hosts that are meant in a Sidecar"
    )
    return Finding(Issue.FOREIGN_ROUTING, Severity.WARNING, ref, sentence, field=field)
