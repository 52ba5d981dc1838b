"""What holds of every decision, in clusters that hypothesis makes up.

Two tenants, `shop` and `eve`, beside the control plane; each has workloads, Services, routes and policies.
"""

from __future__ import annotations

from typing import Any

import tests.strategies  # noqa: F401 (loads the profile of laws)
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.admission.objects import (
    CONTROL_PLANE,
    GATEWAY_LABELS,
    ISTIOD_LABELS,
    Manifest,
    allow,
    deny_all,
    deployment,
    gateway,
    namespace,
    pod,
    request_authentication,
    service,
    virtual_service,
)
from tests.admission.state import State, identity, shown, written

from istio_netpol.admission.decision import Decision
from istio_netpol.admission.reviews import encode
from istio_netpol.analysis.check import check_table, judge_of
from istio_netpol.model.findings import Issue
from istio_netpol.model.policies import Direction
from istio_netpol.model.workloads import Workload

HOSTS = {"keys.example.com": "203.0.113.7"}
homes = st.sampled_from(["shop", "eve"])
modes = st.sampled_from(["augment", "reject", "warn", "off"])
names = st.sampled_from(["cart", "web"])
directions = st.sampled_from([("Egress",), ("Ingress",), ("Ingress", "Egress")])
calls = st.sampled_from(["", "cart:80", "shop/cart:80", "eve/web:80", "apiserver", "192.0.2.0/24:443"])
agreed = st.sampled_from(["", "shop/*", "eve/web"])


@st.composite
def namespaced(draw: st.DrawFn, home: str | None = None) -> Manifest:
    """Any object of a tenant that can be decided on."""
    where = home or draw(homes)
    name = draw(names)
    key = f"{where}/{name}"
    made = draw(
        st.sampled_from(
            ["deployment", "pod", "service", "route", "gateway", "jwt", "deny", "allow", "foreign labels"]
        )
    )
    match made:
        case "deployment":
            return deployment(key, draw(st.sampled_from([8080, 9090])), None, draw(calls), draw(agreed))
        case "foreign labels":
            return deployment(key, labels=draw(st.sampled_from([ISTIOD_LABELS, GATEWAY_LABELS])))
        case "pod":
            return pod(key, owner=draw(st.sampled_from([None, ("ReplicaSet", "cart")])))
        case "service":
            selector = {"app": draw(names)}
            return service(key, target=draw(st.sampled_from([8080, 9090])), selector=selector)
        case "route":
            host = draw(
                st.sampled_from(["cart", "web", "cart.shop.svc.cluster.local", "web.eve.svc.cluster.local"])
            )
            return virtual_service(key, host, draw(st.sampled_from(["istio-system/public", f"{where}/web"])))
        case "gateway":
            return gateway(key, draw(st.sampled_from([{"app": "cart"}, {"app": "istiod"}, GATEWAY_LABELS])))
        case "jwt":
            hosts = ["keys.example.com", "gone.example.com", "cart.shop.svc.cluster.local", "169.254.169.254"]
            return request_authentication(key, f"http://{draw(st.sampled_from(hosts))}/keys")
        case "deny":
            selects = draw(st.sampled_from([None, {"app": "cart"}]))
            return deny_all(where, *draw(directions), selects=selects)
    rules = draw(
        st.sampled_from(
            [[], [{}], [{"ports": [{"port": 15012}]}, {"ports": [{"port": 53, "protocol": "UDP"}]}]]
        )
    )
    return allow(key, egress=rules) if draw(st.booleans()) else allow(key, ingress=rules)


@st.composite
def states(draw: st.DrawFn, mode: str | None = None) -> State:
    """A cluster; with `mode` that of eve's namespace."""
    eves = mode or draw(modes)
    base = [*CONTROL_PLANE, namespace("shop", draw(modes), draw(st.booleans())), namespace("eve", eves)]
    found = {identity(manifest): manifest for manifest in [*base, *draw(st.lists(namespaced(), max_size=8))]}
    for home in draw(st.sets(st.sampled_from(["shop", "eve", "istio-system"]))):
        closed = deny_all(home, *draw(directions))
        found[identity(closed)] = closed
    return State(found.values(), hosts=HOSTS)


def stored(state: State, new: Manifest) -> Manifest | None:
    return next((manifest for manifest in state.stored if identity(manifest) == identity(new)), None)


@given(states(), st.data())
def test_update_that_changes_nothing_is_admitted(state: State, data: st.DataObject) -> None:
    """Whatever is denied already, an object can be stored again, scaled and annotated without a word."""
    old = data.draw(st.sampled_from(state.stored))
    metadata = {**old["metadata"], "annotations": {"team": "blue"}, "resourceVersion": "2"}
    same: dict[str, Any] = {**old, "metadata": metadata}
    if old["kind"] == "Deployment":
        same["spec"] = {**old["spec"], "replicas": 9}
    decision = state.validate(same, old)
    assert (decision.allowed, decision.warnings, state.mutate(same, old).write) == (True, (), ())


@given(states(), st.data())
def test_delete_of_anything_but_a_policy_is_admitted(state: State, data: st.DataObject) -> None:
    """Nothing that is deleted leaves others without a flow that they need."""
    old = data.draw(st.sampled_from(state.stored))
    assume(old["kind"] != "NetworkPolicy")
    decision = state.validate(None, old)
    assert (decision.allowed, decision.warnings) == (True, ())


@given(states("reject"), namespaced("eve"), directions)
def test_policies_of_a_denial_make_the_same_request_pass(
    state: State, new: Manifest, closed: tuple[str, ...]
) -> None:
    """Who pastes what the denial shows, and repeats the request, is through."""
    state = state.after(deny_all("eve", *closed))
    old = stored(state, new)
    refused = state.validate(new, old)
    if refused.allowed or "jwks-host-refused" in refused.rules:
        return
    repeated = state.after(*shown(refused)).validate(new, old)
    assert repeated.allowed, repeated.message
    assert shown(refused)


@given(states("reject"), directions)
def test_policies_of_a_refused_deny_all_cut_nothing_on_the_way(state: State, closed: tuple[str, ...]) -> None:
    """Stored one by one, as they are shown, each passes and leaves every required flow that was allowed; then
    the request passes, in as many rounds as it takes."""
    new, before = deny_all("eve", *closed), denied_in(state)
    while not (refused := state.validate(new, stored(state, new))).allowed:
        assert shown(refused)
        for policy in shown(refused):
            assert state.validate(policy).allowed
            state = state.after(policy)
            assert denied_in(state) <= before


def denied_in(state: State) -> set[Any]:
    """The required flows that are denied, but those that only somebody else's word would open."""
    found = check_table(state.table, judge_of(state.table, state.resolver)).findings
    return {
        finding.flow.key
        for finding in found
        if finding.flow is not None and finding.verdict is not None and finding.rule != Issue.CONSENT_MISSING
    }


@given(states("augment"), namespaced("eve"))
def test_what_is_written_opens_only_the_submitters_namespace(state: State, new: Manifest) -> None:
    """And of the control plane the egress of the gateway and of istiod alone."""
    for policy in state.mutate(new, stored(state, new)).write:
        if policy.namespace != "eve":
            assert policy.namespace == "istio-system"
            assert policy.policy_types == {Direction.EGRESS}
            labels = dict(policy.pod_selector.match_labels)
            assert labels in (ISTIOD_LABELS, GATEWAY_LABELS)
            assert all(rule.peers and rule.ports for rule in policy.egress)


@given(states("augment"), namespaced("eve"))
def test_what_is_written_never_isolates(state: State, new: Manifest) -> None:
    """Pods that were not isolated are not isolated by what is written first, nor by what follows."""
    old = stored(state, new)
    first = state.mutate(new, old)
    before = state.table.snapshot
    for policy in first.write:
        for direction in policy.policy_types:
            for workload in before.select(policy.namespace, policy.pod_selector):
                assert workload.host_network or is_isolated(state, workload, direction)
    then = state.after(*written(first), new)
    isolated = isolation(then)
    assert isolation(then.after(*then.reconciled())) == isolated


def is_isolated(state: State, workload: Workload, direction: Direction) -> bool:
    return any(direction in policy.policy_types for policy in state.table.snapshot.policies_for(workload))


def isolation(state: State) -> set[tuple[str, Direction]]:
    return {
        (workload.peer_name, direction)
        for workload in state.table.snapshot.every_workload()
        for direction in Direction
        if is_isolated(state, workload, direction)
    }


@given(states("augment"), namespaced("eve"))
def test_what_was_augmented_is_admitted(state: State, new: Manifest) -> None:
    """The validating webhook finds in place what the mutating one wrote."""
    old = stored(state, new)
    after = state.after(*written(state.mutate(new, old)))
    decision = after.validate(new, old)
    assert decision.allowed or "jwks-host-refused" in decision.rules, decision.message
    assert after.mutate(new, old).write == ()


@given(states("augment"))
def test_reconciling_comes_to_rest(state: State) -> None:
    """Once written, nothing more is missing, and what is there is not asked for again."""
    assert state.after(*state.reconciled()).reconciled() == []


@given(states(), namespaced(), st.sampled_from(["shop", "eve"]))
def test_decision_does_not_depend_on_the_order_of_objects(state: State, new: Manifest, home: str) -> None:
    """The same request against the same cluster gets the same bytes."""
    again = State(reversed(state.stored), hosts=HOSTS)
    old = stored(state, new)
    assert answered(state.validate(new, old)) == answered(again.validate(new, old))
    assert written(state.mutate(new, old)) == written(again.mutate(new, old))


def answered(decision: Decision) -> bytes:
    return encode("1", decision.allowed, decision.message, decision.causes, decision.warnings)
