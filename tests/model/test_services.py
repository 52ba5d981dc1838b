"""Services."""

from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service


def test_a_service_goes_by_namespace_and_name():
    """As references to it spell it."""
    service = Service(ObjectRef("v1", "Service", "shop", "cart"))
    assert (service.namespace, service.name) == ("shop", "cart")


def test_a_headless_service_says_none_for_its_address():
    """The API server stores the word `None`."""
    ref = ObjectRef("v1", "Service", "shop", "cart")
    assert Service(ref, cluster_ips=("None",)).is_headless
    assert not Service(ref, cluster_ips=("10.0.0.1",)).is_headless
    assert not Service(ref).is_headless
