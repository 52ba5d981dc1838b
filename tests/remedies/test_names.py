"""Names of generated policies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests import strategies as some
from tests.values import policy

from istio_netpol.manifests.decode_selectors import SUBDOMAIN
from istio_netpol.manifests.encode import encode_spec
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.remedies.names import (
    digest_of,
    has_earlier_name,
    is_named_after_content,
    policy_name,
    subject_of,
)

_subjects = (
    st.from_regex(SUBDOMAIN, fullmatch=True) | st.text() | st.sampled_from(("web-", "web.", "n" * 253))
)


def named(name: str) -> NetworkPolicy:
    found = policy("shop/p")
    return replace(found, ref=replace(found.ref, name=name))


@given(some.policies(), some.policies())
def test_policies_have_one_digest_exactly_if_they_do_the_same(
    one: NetworkPolicy, other: NetworkPolicy
) -> None:
    """It covers selector, directions, peers and ports, and neither labels nor who needs it."""
    assert (digest_of(one) == digest_of(other)) == (encode_spec(one) == encode_spec(other))


@given(st.sampled_from(FlowKind), _subjects, some.policies())
def test_every_name_is_one_that_the_api_server_takes(
    kind: FlowKind, subject: str, about: NetworkPolicy
) -> None:
    """Whatever a workload, or its forged owner, is called; it says which digest it has."""
    digest = digest_of(about)
    name = policy_name(kind, subject, digest)
    assert len(name) <= 253
    assert SUBDOMAIN.fullmatch(name)
    assert name.startswith(f"{kind}-")
    assert name.endswith(f"-{digest}")
    assert name == policy_name(kind, subject_of(name, kind), digest)
    assert not has_earlier_name(named(name))


def test_a_digest_has_128_bits() -> None:
    """In groups of eight digits, so that patterns for earlier names match."""
    assert [len(group) for group in digest_of(policy("shop/p")).split("-")] == [8, 8, 8, 8]


def test_a_name_tells_whether_the_content_is_still_its_own() -> None:
    """Whoever changes a policy by hand leaves its name."""
    found = policy("shop/p")
    named_so = named(policy_name(FlowKind.DNS, "web", digest_of(found)))
    assert is_named_after_content(named_so)
    assert not is_named_after_content(replace(named_so, pod_selector=Selector.of({"app": "other"})))


def test_names_of_earlier_versions_are_known() -> None:
    """They ended in one group of eight digits."""
    assert has_earlier_name(named("dns-cart-9eb151f7"))
    assert not has_earlier_name(named("dns-cart-9eb151f7-1c0d4a52-88e3f6a0-5b7c2d91"))
    assert not has_earlier_name(named("default-deny"))
