"""Names of objects."""

import pytest

from istio_netpol.model.references import ObjectRef


def test_the_file_does_not_matter_for_equality():
    """The same object read twice is the same reference."""
    one = ObjectRef("v1", "Pod", "shop", "cart", "a.yaml", 3)
    assert one == ObjectRef("v1", "Pod", "shop", "cart", "b.yaml", 7)
    assert hash(one) == hash(ObjectRef("v1", "Pod", "shop", "cart"))


@pytest.mark.parametrize(("api_version", "group"), [("v1", ""), ("apps/v1", "apps")])
def test_the_key_does_not_depend_on_the_version(api_version, group):
    """An object is the same in every version of its API."""
    ref = ObjectRef(api_version, "Deployment", "shop", "cart")
    assert ref.group == group
    assert ref.key == (group, "Deployment", "shop", "cart")


def test_text_names_kind_and_place():
    """Without a namespace where there is none."""
    assert str(ObjectRef("apps/v1", "Deployment", "shop", "cart")) == "Deployment shop/cart"
    assert str(ObjectRef("v1", "Node", "", "one")) == "Node one"
