"""Policies for pods that nothing isolated yet: what isolates them first must allow all that they need."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some

from istio_netpol.manifests.encode import to_yaml
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import NetworkPolicy, PolicyPeer
from istio_netpol.remedies.combine import MOST_PEERS, MOST_PORTS, Port, joined, rules_of

TEMPLATE = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {kind}-{app}-{digest}
  namespace: shop
  labels:
    app.kubernetes.io/managed-by: istio-netpol
    istio-netpol.io/flow: {kind}
  annotations:
    istio-netpol.io/required-by: {needed_by}
spec:
  podSelector:
    matchLabels:
      app: {app}
  policyTypes: [{direction}]
  {rules}:
  - ports:
    - port: {port}
"""


def policy(
    kind: str, app: str, port: int, needed_by: str = "Deployment/shop/cart", direction: str = "Egress"
) -> NetworkPolicy:
    text = TEMPLATE.format(
        kind=kind,
        app=app,
        digest=f"{port:08}",
        needed_by=needed_by,
        direction=direction,
        rules=direction.lower(),
        port=port,
    )
    (found,) = load(read_documents(text.encode(), "")).objects
    assert isinstance(found, NetworkPolicy)
    return found


DNS = policy("dns", "cart", 53, "Deployment/shop/cart, Job/shop/cart")
ISTIOD = policy("proxy-to-istiod", "cart", 15012)


def test_the_same_pods_get_one_policy() -> None:
    """The rules of both stand in one policy, which says for whom; its name is neither one's."""
    (found,) = joined([ISTIOD, DNS])
    assert found.pod_selector == DNS.pod_selector
    assert found.egress == DNS.egress + ISTIOD.egress
    assert found.annotations == {"istio-netpol.io/required-by": "Deployment/shop/cart, Job/shop/cart"}
    assert found.name.startswith("egress-cart-")


def test_order_makes_no_difference() -> None:
    """The same policies join into the same bytes, in whichever order they come."""
    assert to_yaml(joined([ISTIOD, DNS])) == to_yaml(joined([DNS, ISTIOD]))


def test_names_follow_the_content() -> None:
    """Other needs make another name, so that no set of needs overwrites another's policy."""
    (one,), (other,) = joined([DNS, ISTIOD]), joined([DNS, policy("to-apiserver", "cart", 6443)])
    assert one.name != other.name


def test_other_pods_and_directions_stay_apart() -> None:
    """What selects other pods, or the other direction, is left as it is."""
    apart = [DNS, policy("dns", "web", 53), policy("scrape", "cart", 15090, direction="Ingress")]
    assert list(joined(apart)) == sorted(apart, key=lambda policy: policy.name)


_ports = st.dictionaries(
    st.tuples(st.sampled_from(Protocol), st.integers(1, 4)), st.sampled_from((FlowKind.DNS, FlowKind.HBONE))
)
Needed = dict[PolicyPeer | None, dict[Port, FlowKind]]
_peers = st.none() | some.policy_peers
_needs = st.dictionaries(_peers, _ports.filter(bool), max_size=8)


@given(_needs)
def test_rules_open_exactly_what_is_needed(needs: Needed) -> None:
    """Each peer gets each of its ports once, for the reason that it is needed for."""
    opened = [
        (peer, port, rule.kind)
        for rule in rules_of(needs)
        for peer in rule.peers or (None,)
        for port in rule.ports
    ]
    assert len(opened) == len(set(opened))
    assert set(opened) == {
        (peer, port, kind) for peer, ports in needs.items() for port, kind in ports.items()
    }


@given(_needs)
def test_peers_with_the_same_ports_share_a_rule(needs: Needed) -> None:
    """No two rules for one reason could be one, but those for everybody and for somebody."""
    rules = [(rule.kind, rule.ports, not rule.peers) for rule in rules_of(needs)]
    assert len(rules) == len(set(rules))


@given(_needs, st.randoms(use_true_random=False))
def test_rules_do_not_depend_on_order(needs: Needed, random: Any) -> None:
    """The same needs give the same rules, peers in order."""
    shuffled = list(needs.items())
    random.shuffle(shuffled)
    assert set(rules_of(dict(shuffled))) == set(rules_of(needs))


def test_a_policy_has_a_bounded_size() -> None:
    """Many peers, many ports and long labels come in several policies."""
    many = {PolicyPeer(pod_selector=Selector.of({"app": f"a{number}"})) for number in range(MOST_PEERS + 1)}
    ports = {(Protocol.TCP, number): FlowKind.DNS for number in range(1, MOST_PORTS + 2)}
    sizes = sorted((len(rule.peers), len(rule.ports)) for rule in rules_of(dict.fromkeys(many, ports)))
    assert sizes == [(1, 1), (1, MOST_PORTS), (MOST_PEERS, 1), (MOST_PEERS, MOST_PORTS)]
    long = {f"key{number}": "v" * 63 for number in range(2000)}
    peers = (PolicyPeer(pod_selector=Selector.of({**long, "app": app})) for app in "abc")
    needs = {peer: {(Protocol.TCP, 80): FlowKind.DNS} for peer in peers}
    assert [len(rule.peers) for rule in rules_of(needs)] == [1, 1, 1]
