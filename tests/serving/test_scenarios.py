"""Every scenario as a submission: what is refused comes with the YAML that makes it pass, and mode augment
makes it pass by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios import scenario as scenarios
from tests.scenarios.scenario import Scenario
from tests.serving.cluster import Cluster, Manifest, described, manifests
from tests.serving.desk import Desk
from tests.serving.pasting import pasted
from tests.serving.process import READY, WebhookProcess
from tests.serving.reviews import review

from istio_netpol.analysis.check import check
from istio_netpol.cli.settings import Offline, read_settings
from istio_netpol.model.settings import Settings

FOREIGN = "the side that denies belongs to others, who must consent"
NOWHERE = "no pods of the gateway run, whose addresses a policy could name"
WORSE = "the flow is denied already without it"
ADMITTED = {
    ("admin-tier-denies", "Deployment/shop/cart"): "no policy overrides the Admin tier",
    ("ambient-client-of-sidecar", "Deployment/meadow/web"): FOREIGN,
    ("calls-without-consent", "Deployment/shop/orders"): FOREIGN,
    ("canary-upgrade", "Pod/shop/cart-7f-b"): "a pod of a controller is warned of instead of refused",
    ("cluster-dump", "Deployment/shop/cart"): WORSE,
    ("empty-ingress-list", "NetworkPolicy/shop/cart-ingress"): WORSE,
    ("host-unresolvable", "Deployment/shop/orders"): "no policy could name an address",
    ("host-unresolvable", "ServiceEntry/shop/database"): "no policy could name an address",
    ("host-network-gateway", "VirtualService/shop/cart"): NOWHERE,
    ("host-network-gateway-without-nodes", "VirtualService/shop/cart"): NOWHERE,
    ("http-route-with-reference-grant", "HTTPRoute/bank/cart"): FOREIGN,
    ("jwks-in-another-namespace", "RequestAuthentication/shop/cart"): FOREIGN,
    ("listener-set", "XListenerSet/books/books"): FOREIGN,
    ("or-written-as-and", "NetworkPolicy/shop/allow-cart-clients"): WORSE,
    ("pods-without-labels", "Job/shop/migrate"): "no policy could name its pods",
    ("public-gateway-for-pods-only", "Gateway/edge/inner"): "no policy opens it to everybody",
    ("scrape", "Deployment/shop/basket"): "lost metrics are a warning",
    ("tls-mode-peer", "Deployment/shop/cart"): FOREIGN,
    ("virtual-service-before-its-service", "VirtualService/shop/cart"): "its Service may come later",
    ("virtual-service-to-another-tenant", "VirtualService/bank/grab"): FOREIGN,
}
"""What is admitted in mode reject although `check` finds something, and why."""

NOT_MENDABLE = {
    ("address-refused", "Deployment/shop/backup"),
    ("jwks-refused", "RequestAuthentication/shop/cart"),
}
"""What stays refused: another host or address is the remedy, not a policy."""

NAMED = {
    "control-plane": "NetworkPolicy/istio-system/default-deny",
    "sidecar-injection": "Deployment/my-namespace/httpbin",
    "sidecar-to-sidecar": "Deployment/namespace-a/nginx",
    "virtual-service": "VirtualService/my-virtualservice-namespace/httpbin",
    "request-authentication": "RequestAuthentication/my-virtualservice-namespace/httpbin-jwt",
}
"""The five that go over HTTPS, and what is submitted."""


def name_of(found: dict[str, Any]) -> str:
    """`Kind/namespace/name` of a finding's object."""
    return "/".join(filter(None, (found["kind"], found["namespace"], found["name"])))


@cache
def submissions() -> list[tuple[str, str]]:
    """The five; and what each other scenario says, or else every object in it that lacks something."""
    found = list(NAMED.items())
    for name in scenarios.names():
        scenario = scenarios.read(name)
        if scenario.submit:
            found.append((name, scenario.submit))
            continue
        _, findings = scenarios.check(scenario, scenario.before)
        objects = {name_of(finding["object"]) for finding in findings if finding["severity"] == "error"}
        found += [(name, ref) for ref in sorted(objects)]
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Submission:
    """An object, and the cluster without it."""

    manifest: Manifest
    others: Sequence[Manifest]
    settings: Settings
    key: tuple[str, str]

    def cluster(self, folder: Path, mode: str) -> Cluster:
        """The cluster before the object comes, as a folder."""
        folder.mkdir()
        cluster = Cluster(folder, mode)
        cluster.apply(*self.others)
        return cluster


def settings_of(scenario: Scenario) -> Settings:
    """The settings that its arguments make."""
    config, addresses = None, []
    for option, value in zip(scenario.args[::2], scenario.args[1::2], strict=True):
        assert option in {"--address", "--config"}
        if option == "--config":
            config = value
        else:
            host, _, found = value.partition("=")
            addresses.append((host, tuple(found.split(","))))
    return read_settings(config, addresses)


def denied_in(desk: Desk, settings: Settings) -> set[object]:
    """The flows that the cluster needs and denies."""
    report = check(desk.source.state().snapshot, settings, Offline())
    return {
        finding.flow.key
        for finding in report.findings
        if finding.flow and finding.verdict and not finding.verdict.allowed
    }


@pytest.fixture(params=submissions(), ids="-".join)
def submission(request: pytest.FixtureRequest) -> Submission:
    name, submitted = request.param
    scenario = scenarios.read(name)
    found = {described(content): content for content in manifests(scenario.before)}
    manifest = found.pop(submitted)
    return Submission(manifest, list(found.values()), settings_of(scenario), (name, submitted))


def test_a_pasted_denial_is_the_remedy(submission: Submission, tmp_path: Path) -> None:
    """In mode reject, the same request passes once the command in its denial was run as it stands. The
    webhook lets each of its policies pass, and neither they nor the object cut anything on the way."""
    cluster = submission.cluster(tmp_path / "cluster", "reject")
    desk = Desk(cluster.folder, submission.settings)

    def denied() -> set[object]:
        return denied_in(desk, submission.settings)

    answer = desk.review("validate", review(submission.manifest))
    assert answer["allowed"] == (submission.key in ADMITTED)
    if answer["allowed"]:
        return
    if submission.key in NOT_MENDABLE:
        assert "kubectl apply" not in answer["status"]["message"]
        return
    assert len(answer["status"]["message"].encode()) <= 8192
    before = denied()
    for policy in pasted(answer["status"]["message"], tmp_path):
        assert policy["kind"] == "NetworkPolicy"
        answer = desk.review("validate", review(policy))
        assert answer["allowed"], answer["status"]["message"]
        cluster.apply(policy)
        desk.look()
        assert denied() <= before
    answer = desk.review("validate", review(submission.manifest))
    assert answer["allowed"], answer["status"]["message"]
    cluster.apply(submission.manifest)
    desk.look()
    if submission.manifest["kind"] == "NetworkPolicy":
        assert denied() <= before


def test_augment_writes_what_is_missing(submission: Submission, tmp_path: Path) -> None:
    """In mode augment, a dry run writes nothing and says what it would; then the mutating webhook writes
    the policies to disk and the validating one admits at once, and after they were read as well."""
    cluster = submission.cluster(tmp_path / "cluster", "augment")
    desk = Desk(cluster.folder, submission.settings)
    desk.look()
    before = {file.name: file.read_bytes() for file in cluster.generated}
    promised = desk.review("mutate", review(submission.manifest, dry_run=True)).get("warnings", [])
    assert desk.review("validate", review(submission.manifest, dry_run=True))["allowed"] == (
        submission.key not in NOT_MENDABLE
    )
    assert {file.name: file.read_bytes() for file in cluster.generated} == before
    written = desk.review("mutate", review(submission.manifest)).get("warnings", [])
    assert promised == [
        warning.replace("istio-netpol added", "dry run: istio-netpol would add") for warning in written
    ]
    new = [f"{path.stem.replace('--', '/', 1)}" for path in cluster.generated if path.name not in before]
    assert [warning.rpartition(" ")[2] for warning in written] == new
    for _ in range(2):
        answer = desk.review("validate", review(submission.manifest))
        assert answer["allowed"] == (submission.key not in NOT_MENDABLE)
        desk.look()


def test_every_exception_is_a_submission() -> None:
    """No entry of the tables above outlives its scenario."""
    assert (ADMITTED.keys() | NOT_MENDABLE) <= set(submissions())


@pytest.mark.parametrize("name", NAMED)
def test_over_https(name: str, tmp_path: Path) -> None:
    """The five scenarios through a real process: refused, the pasted remedy taken in, admitted; in mode
    augment written and admitted."""
    scenario = scenarios.read(name)
    found = {described(content): content for content in manifests(scenario.before)}
    manifest = found.pop(NAMED[name])
    folder = tmp_path / "cluster"
    folder.mkdir()
    cluster = Cluster(folder, "reject")
    cluster.apply(*found.values())
    with WebhookProcess(folder, *scenario.args) as webhook:
        webhook.wait_for(READY)
        answer = webhook.review("validate", review(manifest))
        assert not answer["allowed"]
        policies = pasted(answer["status"]["message"], tmp_path)
        taken_in(webhook, cluster, *policies)
        assert webhook.review("validate", review(manifest))["allowed"]
        for policy in policies:
            cluster.delete(policy)
        mark = webhook.mark
        cluster.set_mode("augment")
        webhook.wait_for(READY, mark)
        before = set(cluster.generated)
        webhook.review("mutate", review(manifest))
        assert webhook.review("validate", review(manifest))["allowed"]
        mark = webhook.mark
        taken_in(webhook, cluster, manifest)
        if manifest["kind"] == "NetworkPolicy":
            webhook.wait_for("policy added", mark)
        assert set(cluster.generated) > before
        assert webhook.request("GET", "/readyz").json["reasons"] == []


def taken_in(webhook: WebhookProcess, cluster: Cluster, *found: Manifest) -> None:
    """Stores objects and waits until the webhook goes by them."""
    mark = webhook.mark
    cluster.apply(*found)
    webhook.wait_for(READY, mark)
