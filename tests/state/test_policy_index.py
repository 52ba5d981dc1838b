"""What the index of policies finds is what looking at all of them would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import labels, policies

from istio_netpol.model.labels import Labels
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.state.policy_index import PolicyIndex


@given(st.lists(policies(), max_size=8), st.lists(policies(), max_size=8), labels)
def test_an_index_finds_the_policies_that_select_a_pod(
    before: list[NetworkPolicy], put: list[NetworkPolicy], pod: Labels
) -> None:
    """After policies came, changed and went."""
    known = {policy.name: policy for policy in before}
    after = {policy.name: policy for policy in put}
    index = PolicyIndex().after((), known.values()).after(known.values(), after.values())
    expected = {name for name, policy in after.items() if policy.pod_selector.matches(pod)}
    assert {policy.name for policy in index.select(pod)} == expected
