"""Policies for pods that nothing isolated yet: what isolates them first must allow all that they need."""

from __future__ import annotations

from istio_netpol.manifests.encode import to_yaml
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.remedies.combine import joined

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
    assert list(joined(apart)) == sorted(apart, key=lambda each: each.name)
