"""Where findings are told of objects that have no namespace."""

from __future__ import annotations

from pathlib import Path

from istio_netpol.analysis.check import check
from istio_netpol.cli.settings import Offline
from istio_netpol.controller.report_documents import reported, summaries
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot

BEFORE = Path(__file__).parents[1] / "scenarios" / "webhooks-of-operators" / "before"


def test_what_a_webhook_configuration_lacks_is_told_in_the_namespace_of_its_pods() -> None:
    """Events and reports belong to namespaces: the pods' own has to hear that nobody can call them."""
    documents = (
        document
        for file in sorted(BEFORE.glob("*.yaml"))
        for document in read_documents(file.read_bytes(), "")
    )
    report = check(Snapshot.of(load(documents).objects), Settings(), Offline())
    found = reported(finding for finding in report.findings if finding.rule == "webhook-from-apiserver")
    assert {home: len(findings) for home, findings in found.items()} == {
        "cert-manager": 2,
        "gatekeeper-system": 2,
        "knative-serving": 2,
        "monitoring": 1,
    }
    (event,) = summaries(found["cert-manager"])
    assert str(event.ref) == "Deployment cert-manager/cert-manager-webhook"
    assert event.note.startswith("MutatingWebhookConfiguration cert-manager-webhook: ingress to ")
    assert event.note.endswith(" (and 1 more)")
