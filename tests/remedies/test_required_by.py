"""The annotation that names the objects which need a policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.values import policy

from istio_netpol.model.own_names import REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.remedies.required_by import (
    MOST_CHARACTERS,
    MOST_NAMES,
    Needers,
    asking_namespaces,
    name_of,
    parse,
)

_kinds = st.sampled_from(("Deployment", "VirtualService", "a, b", "x/y", "and 3 more", ""))
_namespaces = st.sampled_from(("shop", "till", "a" * 63, ""))
_names = st.sampled_from(("cart", "a.b-c", "n" * 253, "and 5 more", "x, Deployment/till/y")) | st.text(
    max_size=9
)
_refs = st.builds(ObjectRef, st.just("v1"), _kinds, _namespaces, _names)
_needers = st.builds(
    lambda refs, numbers: Needers(frozenset(map(name_of, refs)) | numbers),
    st.lists(_refs, max_size=30),
    st.integers(0, 60).map(lambda count: frozenset(f"Job/shop/j{number}" for number in range(count))),
)


def needed_by(text: str) -> NetworkPolicy:
    return replace(policy("edge/p"), annotations={REQUIRED_BY: text})


@given(_needers)
def test_the_annotation_reads_back_as_what_it_says(needers: Needers) -> None:
    """Every object is named or counted, whatever stands in names; it stays within its bounds."""
    read = parse(needers.text)
    assert read.names <= needers.names
    assert len(read.names) + read.more == len(needers.names)
    assert len(read.names) <= MOST_NAMES
    assert len(needers.text) <= MOST_CHARACTERS + len(" and 999 more elsewhere")
    assert read.elsewhere == (not needers.namespaces <= read.namespaces)
    assert read.text == needers.text


@given(_needers, _needers)
def test_needers_of_several_policies_are_all_known_or_counted(one: Needers, other: Needers) -> None:
    """Joining what was read never claims to be complete where a part was not."""
    read = parse(one.text) | parse(other.text)
    assert parse(read.text).is_complete <= (parse(one.text).is_complete and parse(other.text).is_complete)
    assert (one | other).namespaces <= read.namespaces or read.elsewhere


@given(st.text())
def test_whatever_somebody_writes_there_can_be_read(text: str) -> None:
    """Others may write the annotation; what they write names at most what it says."""
    assert all(name.count("/") == 2 and "," not in name for name in parse(text).names)


def test_names_that_look_like_lists_stay_one_name() -> None:
    """An ownerReference may say anything of its kind; it can't speak for objects of somebody else."""
    forged = ObjectRef("v1", "Deployment/till/pay, Deployment", "shop", "cart")
    assert parse(Needers(frozenset({name_of(forged)})).text).namespaces == {"shop"}


def test_each_namespace_is_named_before_a_second_object_of_one() -> None:
    """Whom quotas count the policy for is known although most names are not."""
    many = frozenset(f"RequestAuthentication/a/{'n' * 200}{number}" for number in range(1100))
    needers = Needers(many | {"RequestAuthentication/z/keys"})
    assert len(needers.text) < 5000
    assert parse(needers.text).namespaces == {"a", "z"}
    assert needers.text.endswith("RequestAuthentication/z/keys and 1083 more")
    assert asking_namespaces(needed_by(needers.text)) == {"a", "z"}


@pytest.mark.parametrize(
    ("text", "asking"),
    [
        ("Deployment/shop/cart, VirtualService/till/pay", {"shop", "till"}),
        ("Deployment/shop/cart and 7 more", {"shop"}),
        ("Deployment/shop/cart and 7 more elsewhere", {"edge"}),
        ("and 7 more elsewhere", {"edge"}),
        ("", {"edge"}),
        ("nonsense, //", {"edge"}),
    ],
)
def test_a_policy_counts_for_the_namespaces_that_ask(text: str, asking: set[str]) -> None:
    """Where some are not known it counts for its own: no tenant pays for another."""
    assert asking_namespaces(needed_by(text)) == asking
