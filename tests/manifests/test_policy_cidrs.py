"""The CIDRs of an ipBlock: what the API server refuses, and what it has stored."""

from __future__ import annotations

import json

import pytest

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.read import read_documents


def told(cidr: str) -> list[str]:
    """What is said of a policy that allows egress to this CIDR."""
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "out", "namespace": "shop"},
        "spec": {"egress": [{"to": [{"ipBlock": {"cidr": cidr}}]}]},
    }
    (raw,) = read_documents(json.dumps(manifest).encode(), "out.json")
    assert not isinstance(raw, Problem)
    return [str(problem) for problem in decode(raw)[1]]


@pytest.mark.parametrize(
    "cidr", ["10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255", "fe80::%eth0/64", "10.0.0.0/", "10.0.0.0"]
)
def test_a_cidr_that_no_api_server_takes_is_no_cidr(cidr: str) -> None:
    """Netmasks and zones pass in Python, and a folder that passes here would fail to apply."""
    assert told(cidr) == [
        f'out.json:1: NetworkPolicy shop/out: spec.egress[0].to[0].ipBlock.cidr = "{cidr}": is not a CIDR; '
        "write an address and a prefix length, such as 192.0.2.0/24 or 2001:db8::/64"
    ]


@pytest.mark.parametrize("cidr", ["10.1.2.3/8", "10.0.0.0/08", "::ffff:10.0.0.0/104", "2001:DB8:0:0::/64"])
def test_a_cidr_that_clusters_hold_is_read(cidr: str) -> None:
    """A dump of a cluster that was upgraded has such policies; they allow what they did."""
    assert told(cidr) == []
