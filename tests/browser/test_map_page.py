"""What a person does with the map, in a browser."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from playwright.sync_api import Page, expect
from tests.browser.cluster import cluster
from tests.browser.conftest import Watched
from tests.report.test_map_restricted import facts_of
from tests.web.hostile import HOSTILE, hostile_facts

from istio_netpol.cli.main import program
from istio_netpol.report.map_document import map_document
from istio_netpol.report.map_restricted import restricted
from istio_netpol.web.page import page_of

pytestmark = pytest.mark.xdist_group("browser")
"""One browser at a time."""

CUT_PAIR = "#sel=istio-ingress/Deployment/istio-ingressgateway&to=billing/Deployment/frontend"


def focused(page: Page) -> str:
    """What a screen reader says of the focused element."""
    said = page.evaluate(
        "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
    )
    return str(said)


def panel_title(page: Page) -> str:
    return page.inner_text("#panel-title").replace("\n", " ")


def checked(text: str) -> dict[str, Any]:
    """`check` of YAML on standard input."""
    done = CliRunner().invoke(program, ["check", "-", "--offline", "-f", "json"], input=text)
    assert done.exit_code in {0, 1}, done.output
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_the_page_opens_on_all_namespaces(watched: Watched, cluster_page: Path) -> None:
    """The number of cut flows is that of `check`, and the worst namespaces come first."""
    page = watched.open(cluster_page)
    denied = checked(cluster())["summary"]["denied"]
    assert page.inner_text("#number-cut .big") == str(denied)
    assert page.locator(".rows .header.group").count() == 13
    assert page.locator("#panel .pairs button").first.inner_text().split("\n")[1] == "mail"
    assert watched.requests == [f"{cluster_page.as_uri()}"]


def test_a_search_leads_to_a_namespace(watched: Watched, cluster_page: Path) -> None:
    page = watched.open(cluster_page)
    page.keyboard.press("Control+k")
    page.keyboard.type("billing")
    page.wait_for_selector(".chip")
    assert page.locator(".columns .header.group").first.inner_text().endswith("billing")
    page.keyboard.press("Enter")
    assert panel_title(page) == "billing"
    page.click(".chip button")
    assert page.locator("#chips").is_hidden()


def test_a_cell_leads_to_the_policy_that_decides(watched: Watched, cluster_page: Path) -> None:
    """From the source's egress to the destination's ingress, with the rule and its YAML."""
    page = watched.open(cluster_page, CUT_PAIR)
    assert panel_title(page) == "istio-ingress/istio-ingressgateway →  to billing/frontend"
    steps = page.locator(".path > li").all_inner_texts()
    leaving = next(place for place, step in enumerate(steps) if "Leaving istio-ingressgateway: open" in step)
    assert "Entering frontend: nothing gets through" in steps[leaving + 1]
    assert "billing/default-deny" in steps[leaving + 1]
    page.click(".path summary")
    assert "kind: NetworkPolicy" in page.inner_text(".path pre")
    assert "because VirtualService billing/frontend" in page.inner_text("#panel .reasons")


def test_an_allowing_rule_is_marked(watched: Watched, cluster_page: Path) -> None:
    page = watched.open(cluster_page, "#sel=shop/Deployment/frontend&to=shop/Deployment/api")
    assert "egress[0] allows TCP 9000" in page.inner_text(".path")
    page.locator("summary", has_text="shop/allow-api").click()
    assert "app: frontend" in page.inner_text(".path mark")


def test_a_copied_remedy_is_accepted_by_check(watched: Watched, cluster_page: Path) -> None:
    """Applied, it mends the flows that it was copied for, and denies nothing."""
    page = watched.open(cluster_page, CUT_PAIR)
    page.click("#panel .copy.main")
    expect(page.locator("#panel .copy.main")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert [policy["metadata"]["namespace"] for policy in yaml.safe_load_all(copied)] == ["billing"]
    before, after = (checked(text) for text in (cluster(), f"{cluster()}---\n{copied}"))
    assert after["summary"]["denied"] == before["summary"]["denied"] - 1
    assert not [finding for finding in after["findings"] if finding["rule"] == "gateway-to-workload"]


def test_all_remedies_together_mend_all(watched: Watched, cluster_page: Path) -> None:
    """They are the policies that `generate` prints."""
    page = watched.open(cluster_page)
    page.click("#panel .buttons .copy.main")
    expect(page.locator("#panel .copy.main")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    generated = CliRunner().invoke(program, ["generate", "-", "--offline"], input=cluster()).stdout
    assert list(yaml.safe_load_all(copied)) == list(yaml.safe_load_all(generated))
    assert checked(f"{cluster()}---\n{copied}")["summary"]["denied"] == 0


def test_the_keyboard_reaches_everything(watched: Watched, cluster_page: Path) -> None:
    """From the top to a cut, its path and back, and from namespaces into workloads, without a mouse."""
    page = watched.open(cluster_page)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "cell":
            break
    assert "required flow" in focused(page)
    page.keyboard.press("n")
    assert "cut, by" in focused(page)
    where = focused(page)
    page.keyboard.press("Enter")
    assert "→" in focused(page)
    page.keyboard.press("Escape")
    assert focused(page) == where
    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "rowheader"
    page.keyboard.press("End")
    page.keyboard.press("Control+End")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    name = focused(page)
    page.keyboard.press(" ")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert focused(page) == name
    page.keyboard.press("?")
    assert page.locator("#dialog").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#dialog").is_hidden()


def test_a_link_leads_to_the_same_view(watched: Watched, cluster_page: Path) -> None:
    page = watched.open(cluster_page)
    page.click("button:text('As if deny-all')")
    page.click("#number-cut")
    page.click("button:text('Flow kinds')")
    page.check("label:has-text('proxy-to-istiod') input")
    page.select_option("#order", "cut")
    other = watched.open(page.url)
    for part in ("#number-cut", "#chips", ".rows", "#bar .choices"):
        assert other.locator(part).first.inner_text() == page.locator(part).first.inner_text()
    assert other.locator("[aria-pressed=true]").count() == page.locator("[aria-pressed=true]").count()


def test_as_if_deny_all_cuts_more(watched: Watched, cluster_page: Path) -> None:
    page = watched.open(cluster_page)
    now = int(page.inner_text("#number-cut .big"))
    page.click("button:text('As if deny-all')")
    assert int(page.inner_text("#number-cut .big")) > now
    page.click("#changes")
    assert "newly cut" in page.inner_text("#panel")


def test_a_filter_leaves_one_kind(watched: Watched, cluster_page: Path) -> None:
    page = watched.open(cluster_page, "#view=flows&kind=gateway-to-workload")
    kinds = page.locator("tbody td:nth-child(2)").all_inner_texts()
    assert set(kinds) == {"gateway-to-workload"}
    assert page.locator("tbody tr").first.inner_text().startswith("✕ cut at ingress")


@pytest.mark.parametrize("view", ["connections", "namespaces"])
def test_tables_hold_the_same(watched: Watched, cluster_page: Path, view: str) -> None:
    page = watched.open(cluster_page, f"#view={view}")
    page.locator("tbody .link").first.click()
    assert page.locator("#panel").is_visible()
    assert page.locator("tbody tr").count() >= 12


def test_what_nothing_matches_has_a_way_out(watched: Watched, cluster_page: Path) -> None:
    page = watched.open(cluster_page, "#q=nobody")
    assert page.inner_text(".empty h2") == "Nothing matches"
    page.click("text=Clear search and filters")
    assert page.locator("#matrix").is_visible()


def test_a_change_shows_what_is_lost(watched: Watched, maps: Callable[..., Path]) -> None:
    """A policy that is deleted cuts what it opened; the pair says what was and what is."""
    whole = list(yaml.safe_load_all(cluster()))
    less = [
        row
        for row in whole
        if (row["metadata"].get("namespace"), row["metadata"]["name"]) != ("shop", "allow-gateway")
    ]
    page = watched.open(maps(cluster(), yaml.safe_dump_all(less)))
    assert page.inner_text("#number-cut .detail") == "1 newly cut, 0 mended"
    page.locator("#panel .pairs button").first.click()
    assert "Before: TCP 8080. After: nothing." in page.inner_text("#panel")


def test_hostile_names_stay_text(watched: Watched, tmp_path: Path) -> None:
    """In every view and in the panel; nothing runs and nothing is fetched."""
    file = tmp_path / "hostile.html"
    file.write_text(page_of(map_document(hostile_facts(), title=HOSTILE)), encoding="utf-8", errors="replace")
    for view in ("", "#view=connections", "#view=flows", "#view=namespaces"):
        page = watched.open(file, view)
        if view:
            page.locator("tbody .link").first.click()
        else:
            page.focus(".rows .header")
            page.keyboard.press(" ")
            page.keyboard.press("Enter")
        for details in page.locator("#panel summary").all():
            details.click()
        assert page.evaluate("window.pwned") is None
        assert page.locator("img, b b, #view script").count() == 0
        assert HOSTILE in page.inner_text("#subject")


def test_print_shows_the_cut_flows(watched: Watched, cluster_page: Path) -> None:
    page = watched.open(cluster_page)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#print").is_visible()
    assert page.locator("#print tbody tr").count() == int(page.inner_text("#number-cut .big"))
    assert page.locator("#main").is_hidden()


def test_a_narrow_screen_starts_with_the_flows(watched: Watched, cluster_page: Path) -> None:
    page = watched.context.new_page()
    page.set_viewport_size({"width": 420, "height": 800})
    page.goto(cluster_page.as_uri())
    page.wait_for_selector("html[data-ready] table")
    assert "required flows, cut ones first" in page.inner_text("caption")


def test_the_path_shows_what_else_decides(watched: Watched, cluster_page: Path) -> None:
    """Injection, Sidecar, mutual TLS and AuthorizationPolicies of a required flow, as in `explain`."""
    page = watched.open(cluster_page, "#sel=shop/Deployment/frontend&to=shop/Deployment/api")
    steps = page.locator(".path > li .title").all_inner_texts()
    assert steps[1:3] == ["Mesh", "Sidecar scope"]
    assert steps[-3:-1] == ["Mutual TLS", "Authorization"]
    authorization = page.locator(".path > li", has_text="Authorization").last
    assert "AuthorizationPolicy shop/api lets Deployment shop/frontend in" in authorization.inner_text()


def test_a_gate_that_refuses_is_seen(watched: Watched, maps: Callable[..., Path]) -> None:
    """Policies let it pass, and the AuthorizationPolicy does not."""
    denial = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "nobody", "namespace": "shop"},
        "spec": {
            "action": "DENY",
            "selector": {"matchLabels": {"app": "api"}},
            "rules": [{"from": [{"source": {"namespaces": ["shop"]}}]}],
        },
    }
    page = watched.open(
        maps(f"{cluster()}---\n{yaml.safe_dump(denial)}"),
        "#sel=shop/Deployment/frontend&to=shop/Deployment/api",
    )
    stopped = page.locator(".path > li.stop")
    assert stopped.count() == 1
    assert "AuthorizationPolicy shop/nobody denies it" in stopped.inner_text()


def test_a_part_of_the_cluster_is_drawn(watched: Watched, tmp_path: Path) -> None:
    """A reader of one namespace sees that its way to others is cut, and none of their names."""
    whole = map_document(facts_of(cluster()), title="prod-eu")
    file = tmp_path / "part.html"
    file.write_text(page_of(restricted(whole, ["stock"])), encoding="utf-8")
    page = watched.open(file, "#sel=stock")
    assert page.inner_text("#number-cut .big") == "3"
    page.locator("#panel .pairs button").first.click()
    assert panel_title(page) == "stock/api →  to other namespaces"
    for name in ("Connections", "Required flows", "Namespaces"):
        page.click(f"button:text-is('{name}')")
        assert "istiod" not in page.inner_text("#view").replace("proxy-to-istiod", "")


def test_the_command_asks_what_the_panel_shows(watched: Watched, maps: Callable[..., Path]) -> None:
    """Two workloads of one name, a range of addresses of either family, a port that is not TCP: `explain`
    understands the command, and says what the panel says."""
    for ends, told in {
        "#sel=bank/Deployment/till&to=shop/StatefulSet/cart": ("bank/till", "shop/StatefulSet/cart:9090"),
        "#sel=bank/Deployment/till&to=shop/Deployment/cart": ("bank/till", "shop/Deployment/cart:9900/SCTP"),
        "#sel=shop/Deployment/cart&to=*addresses/10.0.0.0%2F8": (
            "shop/Deployment/cart",
            "10.0.0.0:5353/UDP",
        ),
        "#sel=shop/Deployment/cart&to=*addresses/2001:db8::%2F32": (
            "shop/Deployment/cart",
            "'[2001:db8::]:80'",
        ),
        "#sel=*addresses/internet&to=bank/Deployment/till": ("1.0.0.0", "bank/till:80"),
    }.items():
        page = watched.open(maps(ODD), ends)
        command = page.locator("#panel pre[aria-label=Command]").inner_text()
        assert command.endswith(f"--from {told[0]} --to {told[1]}"), command
        said = CliRunner().invoke(program, [*shlex.split(command)[1:], "--offline"])
        assert said.exit_code == 0, said.output
        assert "allowed" in said.output.splitlines()[0]


ODD = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: app, image: app, ports: [{name: web, containerPort: 9900, protocol: SCTP}]}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: cart, namespace: shop}
spec:
  serviceName: cart
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec: {containers: [{name: app, image: app, ports: [{name: web, containerPort: 9090}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: till, namespace: bank}
spec:
  selector: {matchLabels: {app: till}}
  template:
    metadata: {labels: {app: till}}
    spec: {containers: [{name: app, image: app}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: some, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: bank}}}]
    ports: [{port: web}, {port: web, protocol: SCTP}]
  egress:
  - {to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 5353, protocol: UDP}]}
  - {to: [{ipBlock: {cidr: "2001:db8::/32"}}], ports: [{port: 80}]}
"""


@pytest.mark.parametrize("word", ["constructor", "__proto__", "toString", "1e9", "-Infinity", "%00", "<b>"])
def test_a_link_of_somebody_else_breaks_nothing(watched: Watched, cluster_page: Path, word: str) -> None:
    """Words that mean nothing are left out of the view, one by one and all together."""
    names = (
        "view",
        "state",
        "only",
        "order",
        "size",
        "theme",
        "kind",
        "hide",
        "open",
        "sel",
        "to",
        "changes",
    )
    page = watched.open(cluster_page)
    for view in (*(f"{name}={word}" for name in names), "&".join(f"{name}={word}" for name in names)):
        page.evaluate("view => { location.hash = view; }", view)
        page.wait_for_timeout(50)
        assert page.inner_text("#number-cut .big")
        assert page.locator("#view").inner_text() is not None
    page.evaluate("location.hash = 'sel=shop'")
    expect(page.locator("#panel-title")).to_have_text("shop")


def test_what_was_before_a_change_has_no_command(watched: Watched, maps: Callable[..., Path]) -> None:
    """PATH is what comes after it, and would answer another question."""
    ends = "&sel=bank/Deployment/till&to=shop/Deployment/cart"
    for state, count in (("before", 0), ("now", 1)):
        page = watched.open(maps(ODD, ODD.replace("port: web", "port: 80")), f"#state={state}{ends}")
        assert page.locator("#panel pre[aria-label=Command]").count() == count
