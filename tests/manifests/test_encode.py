"""The YAML of generated policies, as kubectl reads it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.values import EGRESS, block, namespaces, pods, policy, port, rule

from istio_netpol.manifests.encode import manifest_yaml, to_yaml
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.labels import Operator, Requirement, Selector

CONTENT = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web
  namespace: shop
spec:
  podSelector: {}
  policyTypes:
  - Egress
  egress:
  - to:
    - namespaceSelector:
        matchLabels:
          team: a
    - podSelector:
        matchLabels:
          app: db
    - ipBlock:
        cidr: 10.0.0.0/8
        except:
        - 10.1.0.0/16
    ports:
    - protocol: TCP
      port: 80
      endPort: 90
    - protocol: TCP
      port: http
"""


def test_policies_are_written_in_the_order_that_people_expect() -> None:
    """Identity first, then whom it selects, then the rules; no field that says nothing."""
    peers = (namespaces(team="a"), pods(app="db"), block("10.0.0.0/8", "10.1.0.0/16"))
    assert to_yaml([policy("shop/web", egress=[rule(*peers, port(80, end=90), port("http"))])]) == CONTENT


def test_comments_stand_above_their_document() -> None:
    """A comment belongs to one policy of several."""
    text = to_yaml([policy("a/p", types=[EGRESS]), policy("b/q", types=[EGRESS])], {"b/q": "why"})
    documents = text.split("---\n")
    assert [document.startswith("# why\napiVersion:") for document in documents] == [False, True]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "y",
        "N",
        "on",
        "Off",
        "yes",
        "true",
        "null",
        "1",
        "007",
        "1e3",
        "12e4",
        "1.5",
        "0x1f",
        "1_0",
    ],
)
def test_label_values_that_look_like_something_else_stay_text(value: str) -> None:
    """Labels such as `y` or the commit `12e4` are quoted: kubectl would send a boolean or a number."""
    expressions = (Requirement("rev", Operator.IN, frozenset({value})),)
    written = policy("shop/web", selects=Selector((("app", value),), expressions), types=[EGRESS])
    found = load(read_documents(to_yaml([written]).encode(), "web.yaml"))
    assert found.problems == ()
    assert found.objects[0].pod_selector == written.pod_selector


TEXTS = st.text(alphabet="aB01 .:,/-_#'\"&*!|>%@`{}[]?~=\n\té\u2028", max_size=6) | st.text(max_size=4)
MANIFESTS = st.recursive(
    TEXTS | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(MANIFESTS)
def test_yaml_says_what_the_manifest_does(manifest: Any) -> None:
    """Whatever a label, a name or an annotation says, and however deep it stands."""
    assert yaml.safe_load(manifest_yaml(manifest)) == manifest


def test_long_texts_and_equal_parts_are_written_out() -> None:
    """One line each, for whoever reads and pastes; no anchor in place of a part that comes again."""
    part = {"app": "a " * 200 + "b"}
    assert manifest_yaml([part, part]) == f"- app: {part['app']}\n" * 2
