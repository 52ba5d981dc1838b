"""Laws of what `generate` prints for clusters with policies of the Admin and Baseline tiers. The judge is the
naive evaluator."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests import strategies as some
from tests.analysis.meshes import meshes
from tests.analysis.test_generate_laws import World, assert_each_opens_a_required_flow, connections


def tiered_worlds() -> st.SearchStrategy[World]:
    """Meshes with up to three policies of the tiers."""
    tiers = st.lists(some.tier_policies(), min_size=1, max_size=3, unique_by=lambda policy: policy.ref)
    return st.builds(lambda mesh, policies: World([*mesh, *policies], False), meshes(), tiers)


@settings(max_examples=40)
@given(tiered_worlds())
def test_no_connection_is_lost(world: World) -> None:
    """What was allowed before the policies were applied is allowed after: also what the Baseline tier leaves
    open to pods that nothing isolates."""
    for asked in connections(world):
        assert not world.before.allows(*asked) or world.after.allows(*asked), asked


@settings(max_examples=40)
@given(tiered_worlds())
def test_each_policy_opens_a_required_flow(world: World) -> None:
    """Alone, it opens a side that was denied and is needed: none stands against the Admin tier in vain."""
    assert_each_opens_a_required_flow(world)
