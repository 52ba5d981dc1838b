"""How policies of network plugins are named."""

from __future__ import annotations

import pytest

from istio_netpol.manifests.decode import DECODERS
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.unread import CALICO_LABELS, UnreadPolicy

KUBERNETES = ("networking.k8s.io", "policy.networking.k8s.io")


def title(version: str, kind: str) -> str:
    return UnreadPolicy(ObjectRef(version, kind, "", "lock"), (), CALICO_LABELS).title


@pytest.mark.parametrize(
    "kind", [kind for group, kind in DECODERS if group in KUBERNETES and kind.endswith("Policy")]
)
def test_a_kind_that_kubernetes_has_too_is_named_with_its_api_version(kind: str) -> None:
    """Or a reader would look for a policy of Kubernetes."""
    assert title("crd.antrea.io/v1beta1", kind) == f"{kind} lock (crd.antrea.io/v1beta1)"


def test_any_other_kind_needs_no_api_version() -> None:
    """Only one API has it."""
    assert title("projectcalico.org/v3", "GlobalNetworkPolicy") == "GlobalNetworkPolicy lock"
