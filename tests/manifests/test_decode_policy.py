"""Which NetworkPolicies are refused, and with what words; the API server's validation is the measure.

Cases follow `pkg/apis/networking/validation/validation_test.go` and apimachinery's label validation
(Kubernetes 1.36).
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some

from istio_netpol.manifests.encode import to_yaml
from istio_netpol.manifests.load import Loaded, load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.addresses import IpBlock
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.policies import Direction, NetworkPolicy

BOTH = frozenset(Direction)
NO_FIELD = "is not a field that Kubernetes knows here"


def loaded(spec: Any, **top: Any) -> Loaded:
    """What reading a policy with this spec gives; None leaves the spec out."""
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "namespace": "shop"},
        **({} if spec is None else {"spec": spec}),
        **top,
    }
    return load(read_documents(yaml.safe_dump(manifest).encode(), "deny.yaml"))


def policy(spec: Any) -> NetworkPolicy:
    """The policy that a valid spec gives."""
    found = loaded(spec)
    assert found.problems == ()
    (only,) = found.objects
    return only


def refusals(spec: Any, **top: Any) -> list[str]:
    """Every problem from its field path on; a refused policy is not half a policy."""
    found = loaded(spec, **top)
    assert bool(found.objects) != bool(found.problems)
    place = "deny.yaml:1: NetworkPolicy shop/deny: "
    assert all(str(problem).startswith(place) for problem in found.problems)
    return [str(problem).removeprefix(place) for problem in found.problems]


def of_port(port: Any) -> list[str]:
    prefix = "spec.ingress[0].ports[0]"
    return [refusal.removeprefix(prefix) for refusal in refusals({"ingress": [{"ports": [port]}]})]


def of_peer(peer: Any) -> list[str]:
    prefix = "spec.egress[0].to[0]"
    return [refusal.removeprefix(prefix) for refusal in refusals({"egress": [{"to": [peer]}]})]


def of_block(cidr: Any, *exceptions: Any) -> list[str]:
    block = {"cidr": cidr, **({"except": list(exceptions)} if exceptions else {})}
    return [problem.removeprefix(".ipBlock.") for problem in of_peer({"ipBlock": block})]


def of_requirement(**requirement: Any) -> list[str]:
    prefix = "spec.podSelector.matchExpressions[0]."
    problems = refusals({"podSelector": {"matchExpressions": [requirement]}})
    return [problem.removeprefix(prefix) for problem in problems]


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        (None, {Direction.INGRESS}),
        ({}, {Direction.INGRESS}),
        ({"policyTypes": []}, {Direction.INGRESS}),
        ({"policyTypes": None, "egress": None}, {Direction.INGRESS}),
        ({"egress": []}, {Direction.INGRESS}),
        ({"egress": [{}]}, BOTH),
        ({"egress": [{}], "policyTypes": ["Ingress"]}, {Direction.INGRESS}),
        ({"policyTypes": ["Egress"]}, {Direction.EGRESS}),
        ({"policyTypes": ["Egress", "Ingress"]}, BOTH),
        ({"policyTypes": ["Egress", "Egress"]}, {Direction.EGRESS}),
    ],
)
def test_absent_policy_types_get_the_default_of_the_api_server(spec: Any, types: Any) -> None:
    """Ingress always, and Egress where there is an egress rule; an empty list of rules is none."""
    assert policy(spec).policy_types == types


def test_absent_pod_selector_selects_every_pod() -> None:
    """Without a podSelector a policy is for the whole namespace."""
    assert policy({"policyTypes": ["Ingress"]}).pod_selector == EVERYTHING


@pytest.mark.parametrize(
    ("types", "problems"),
    [
        (["ingress"], ['spec.policyTypes[0] = "ingress": is not a policy type; use Ingress or Egress']),
        (["Egress", ""], ['spec.policyTypes[1] = "": is not a policy type; use Ingress or Egress']),
        (
            ["Ingress", "Egress", "Ingress"],
            [
                "spec.policyTypes = ['Ingress', 'Egress', 'Ingress']: has more than two entries; "
                "name each direction once"
            ],
        ),
        ("Ingress", ['spec.policyTypes = "Ingress": is a string, not a list']),
    ],
)
def test_policy_types_that_do_not_exist_are_refused(types: Any, problems: list[str]) -> None:
    """A policy type is Ingress or Egress, spelled so, and there are at most two."""
    assert refusals({"policyTypes": types}) == problems


@pytest.mark.parametrize(
    "port",
    [
        {},
        {"protocol": "UDP"},
        {"protocol": "SCTP", "port": 1},
        {"port": 65535},
        {"port": "http"},
        {"port": "a"},
        {"port": "8-x-8"},
        {"port": "fifteen-letters"},
        {"port": 1, "endPort": 65535},
        {"port": 80, "endPort": 80},
    ],
)
def test_ports_that_the_api_server_takes_are_taken(port: Any) -> None:
    """Numbers, ranges and port names up to the limits are no mistakes."""
    assert of_port(port) == []


NAME_REMEDY = "use at most 15 lower-case letters, digits and single '-' between them, at least one letter"


@pytest.mark.parametrize(
    ("port", "problems"),
    [
        ({"port": 0}, [".port = 0: is not a port number; use 1 to 65535"]),
        ({"port": -1}, [".port = -1: is not a port number; use 1 to 65535"]),
        ({"port": 65536}, [".port = 65536: is not a port number; use 1 to 65535"]),
        ({"port": "80"}, ['.port = "80": is not a port name; write the number without quotes: 80']),
        ({"port": ""}, [f'.port = "": is not a port name; {NAME_REMEDY}']),
        ({"port": "HTTP"}, [f'.port = "HTTP": is not a port name; {NAME_REMEDY}']),
        ({"port": "-http"}, [f'.port = "-http": is not a port name; {NAME_REMEDY}']),
        ({"port": "http-"}, [f'.port = "http-": is not a port name; {NAME_REMEDY}']),
        ({"port": "a--b"}, [f'.port = "a--b": is not a port name; {NAME_REMEDY}']),
        ({"port": "a_b"}, [f'.port = "a_b": is not a port name; {NAME_REMEDY}']),
        ({"port": "1-2"}, [f'.port = "1-2": is not a port name; {NAME_REMEDY}']),
        (
            {"port": "sixteen-letters1"},
            [f'.port = "sixteen-letters1": is not a port name; {NAME_REMEDY}'],
        ),
        ({"port": 8.5}, [".port = 8.5: is a number, not a number or a name"]),
        ({"port": True}, [".port = true: is a boolean, not a number or a name"]),
        ({"protocol": "tcp"}, ['.protocol = "tcp": is not a protocol; use TCP, UDP or SCTP']),
        ({"protocol": ""}, ['.protocol = "": is not a protocol; use TCP, UDP or SCTP']),
        ({"protocol": "ICMP"}, ['.protocol = "ICMP": is not a protocol; use TCP, UDP or SCTP']),
    ],
)
def test_ports_that_the_api_server_refuses_are_refused(port: Any, problems: list[str]) -> None:
    """The message names the field, what it holds, and what to write."""
    assert of_port(port) == problems


@pytest.mark.parametrize(
    ("port", "problems"),
    [
        (
            {"port": 80, "endPort": 79},
            [".endPort = 79: is lower than port 80; make it the last number of the range"],
        ),
        (
            {"endPort": 80},
            [".endPort = 80: needs a numeric port beside it; give `port` the first number of the range"],
        ),
        (
            {"port": "http", "endPort": 80},
            [".endPort = 80: needs a numeric port beside it; give `port` the first number of the range"],
        ),
        ({"port": 80, "endPort": 65536}, [".endPort = 65536: is not a port number; use 1 to 65535"]),
        ({"port": 80, "endPort": 0}, [".endPort = 0: is not a port number; use 1 to 65535"]),
        ({"port": 80, "endPort": "90"}, ['.endPort = "90": is a string, not a whole number']),
    ],
)
def test_end_ports_must_end_a_range_of_numbers(port: Any, problems: list[str]) -> None:
    """endPort needs a port that is a number and not above it; each mistake is told once."""
    assert of_port(port) == problems


@pytest.mark.parametrize(
    ("cidr", "exceptions"),
    [
        ("0.0.0.0/0", ["10.0.0.0/8", "192.168.0.0/16"]),
        ("192.168.1.0/24", ["192.168.1.1/32", "192.168.1.128/25"]),
        ("10.0.0.1/24", ["10.0.0.5/25"]),
        ("::/0", ["fd00::/8"]),
        ("2001:DB8::/32", ["2001:db8:0:1::/64"]),
        ("2001:0db8::/32", []),
        ("64:ff9b::10.0.0.0/104", []),
        ("10.0.0.0/32", []),
    ],
)
def test_blocks_that_the_api_server_takes_are_taken(cidr: str, exceptions: list[str]) -> None:
    """Both families, with exceptions within; bits after the prefix length are no mistake."""
    assert of_block(cidr, *exceptions) == []


CIDR_REMEDY = "write an address and a prefix length, such as 192.0.2.0/24 or 2001:db8::/64"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.0",
        "10.0.0/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.0.0.255",
        "256.0.0.0/8",
        " 10.0.0.0/8",
        "10.0.0.0/8 ",
        "10.0.0.0/8\n",
        "fe80::1%eth0/64",
        "2001:db8::/129",
        "2001:db8/32",
        "1::2::3/64",
        "shop/32",
    ],
)
def test_texts_that_are_no_cidr_are_refused(text: str) -> None:
    """An address and a decimal prefix length: no netmask, no zone, no name; in cidr and in except alike."""
    shown = f'"{text}"'.replace("\n", "\\n")
    assert of_block(text) == [f"cidr = {shown}: is not a CIDR; {CIDR_REMEDY}"]
    assert of_block("0.0.0.0/0", text) == [f"except[0] = {shown}: is not a CIDR; {CIDR_REMEDY}"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("010.0.0.0/8", "10.0.0.0/8"),
        ("10.00.0.001/32", "10.0.0.1/32"),
        ("10.0.0.0/08", "10.0.0.0/8"),
        ("fd00::/008", "fd00::/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("10.1.2.3/8", "10.1.2.3/8"),
    ],
)
def test_cidrs_of_older_clusters_are_read_as_they_were_meant(text: str, meant: str) -> None:
    """Kubernetes took them before 1.36, so a dump may hold them; numbers are decimal, whatever leads them."""
    read = policy({"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": text}}]}]})
    assert read.egress[0].peers[0].ip_block == IpBlock(meant)


@pytest.mark.parametrize(
    ("cidr", "exception"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/8", "10.0.0.1/8"),
        ("10.0.0.0/8", "0.0.0.0/0"),
        ("10.0.0.0/8", "11.0.0.0/16"),
        ("10.0.0.0/8", "fd00::/16"),
        ("::/0", "10.0.0.0/8"),
        ("fd00::/8", "fe00::/16"),
        ("10.0.0.0/24", "10.0.1.0/25"),
    ],
)
def test_exceptions_must_be_strictly_within_their_block(cidr: str, exception: str) -> None:
    """An exception of the whole block, of more, or of something else takes nothing away that was meant."""
    remedy = "name a smaller range inside the cidr"
    assert of_block(cidr, exception) == [
        f'except[0] = "{exception}": is not within {cidr}, or is all of it; {remedy}'
    ]


def test_exceptions_are_checked_one_by_one() -> None:
    """Each wrong exception is named by its place in the list."""
    told = of_block("10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/16", "10.2.0.0/16", 7)
    assert [sentence.partition(" ")[0] for sentence in told] == ["except[3]", "except[1]"]


@pytest.mark.parametrize(
    "peer",
    [
        {"podSelector": {}},
        {"namespaceSelector": {}},
        {"podSelector": {}, "namespaceSelector": {}},
        {"podSelector": None, "namespaceSelector": {}},
    ],
)
def test_peers_by_selectors_are_taken(peer: Any) -> None:
    """One selector or both; null counts as absent."""
    assert of_peer(peer) == []


@pytest.mark.parametrize("peer", [{}, {"podSelector": None}])
def test_a_peer_that_names_nobody_is_refused(peer: Any) -> None:
    """An empty entry is not "everybody"."""
    assert of_peer(peer) == [": names no peer; give it a podSelector, a namespaceSelector or an ipBlock"]


@pytest.mark.parametrize("selector", ["podSelector", "namespaceSelector"])
def test_an_ip_block_beside_a_selector_is_refused(selector: str) -> None:
    """Addresses and pods are alternatives: two entries."""
    peer = {"ipBlock": {"cidr": "10.0.0.0/8"}, selector: {}}
    assert of_peer(peer) == [": has an ipBlock beside selectors; make them two entries of the list"]


@pytest.mark.parametrize(
    ("requirement", "problems"),
    [
        ({"key": "app", "operator": "In", "values": ["a", ""]}, []),
        ({"key": "app", "operator": "NotIn", "values": ["a"]}, []),
        ({"key": "app", "operator": "Exists"}, []),
        ({"key": "app", "operator": "DoesNotExist", "values": []}, []),
        (
            {"key": "app", "operator": "In"},
            ["values: must have an entry for operator In; list the values to compare with"],
        ),
        (
            {"key": "app", "operator": "NotIn", "values": []},
            ["values: must have an entry for operator NotIn; list the values to compare with"],
        ),
        (
            {"key": "app", "operator": "Exists", "values": ["a"]},
            ["values = ['a']: must be empty for operator Exists; leave it out, or use In or NotIn"],
        ),
        (
            {"key": "app", "operator": "DoesNotExist", "values": ["a"]},
            ["values = ['a']: must be empty for operator DoesNotExist; leave it out, or use In or NotIn"],
        ),
        (
            {"key": "app", "operator": "exists"},
            ['operator = "exists": is not an operator; use In, NotIn, Exists or DoesNotExist'],
        ),
        ({"key": "app"}, ['operator = "": is not an operator; use In, NotIn, Exists or DoesNotExist']),
    ],
)
def test_operators_decide_whether_values_belong(requirement: Any, problems: list[str]) -> None:
    """In and NotIn compare with values; Exists and DoesNotExist have none."""
    assert of_requirement(**requirement) == problems


NAME_RULE = "use at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends"
PREFIX_RULE = "has a prefix that is not a DNS name; use lower-case letters, digits, '-' and '.'"


@pytest.mark.parametrize("key", ["a", "A_b.C-9", "x" * 63, "istio.io/rev", f"{'a' * 253}/b", "1/2"])
def test_label_keys_that_the_api_server_takes_are_taken(key: str) -> None:
    """A name, with or without a DNS name before it, up to the limits."""
    assert of_requirement(key=key, operator="Exists") == []
    assert refusals({"podSelector": {"matchLabels": {key: "x"}}}) == []


@pytest.mark.parametrize(
    ("key", "problems"),
    [
        ("", [f"is not a label key; {NAME_RULE}"]),
        ("-a", [f"is not a label key; {NAME_RULE}"]),
        ("a.", [f"is not a label key; {NAME_RULE}"]),
        ("a b", [f"is not a label key; {NAME_RULE}"]),
        ("x" * 64, [f"is not a label key; {NAME_RULE}"]),
        ("istio.io/", [f"is not a label key; {NAME_RULE}"]),
        ("/a", [PREFIX_RULE]),
        ("Istio.io/a", [PREFIX_RULE]),
        ("a_b/c", [PREFIX_RULE]),
        ("a/b/c", [PREFIX_RULE]),
        (f"{'a' * 254}/b", [PREFIX_RULE]),
        ("-a-/b-", [f"is not a label key; {NAME_RULE}", PREFIX_RULE]),
    ],
)
def test_label_keys_that_the_api_server_refuses_are_refused(key: str, problems: list[str]) -> None:
    """The same words for the keys of matchLabels and of matchExpressions."""
    shown = f'"{key}"' if len(key) < 59 else f'"{key[:56]}...'
    assert of_requirement(key=key, operator="Exists") == [f"key = {shown}: {problem}" for problem in problems]
    path = f"spec.podSelector.matchLabels[{key}]"
    assert refusals({"podSelector": {"matchLabels": {key: "x"}}}) == [
        f"{path} = {shown}: {problem}" for problem in problems
    ]


@pytest.mark.parametrize("value", ["", "a", "A_b.C-9", "x" * 63])
def test_label_values_that_the_api_server_takes_are_taken(value: str) -> None:
    """A value may be empty."""
    assert refusals({"podSelector": {"matchLabels": {"app": value}}}) == []
    assert of_requirement(key="app", operator="In", values=[value]) == []


@pytest.mark.parametrize("value", ["-", "a b", "a/b", "*", "x" * 64, "café"])
def test_label_values_that_the_api_server_refuses_are_refused(value: str) -> None:
    """Such a value is on no pod: the policy would select nothing."""
    shown = f'"{value}"' if len(value) < 59 else f'"{value[:56]}...'
    problem = f"= {shown}: is not a label value; {NAME_RULE}"
    labels = {"podSelector": {"matchLabels": {"app": value}}}
    assert refusals(labels) == [f"spec.podSelector.matchLabels[app] {problem}"]
    assert of_requirement(key="app", operator="In", values=["a", value]) == [f"values[1] {problem}"]


@pytest.mark.parametrize(
    ("spec", "top", "problem"),
    [
        ({"ingress": [{"form": []}]}, {}, f"spec.ingress[0].form: {NO_FIELD}; write from"),
        ({"egress": [{"from": []}]}, {}, f"spec.egress[0].from: {NO_FIELD}; use to or ports"),
        ({"podselector": {}}, {}, f"spec.podselector: {NO_FIELD}; write podSelector"),
        ({"ports": []}, {}, f"spec.ports: {NO_FIELD}; use podSelector, policyTypes, ingress or egress"),
        (
            {"ingress": [{"from": [{"podSelector": {}, "ports": []}]}]},
            {},
            f"spec.ingress[0].from[0].ports: {NO_FIELD}; use podSelector, namespaceSelector or ipBlock",
        ),
        (
            {"ingress": [{"ports": [{"port": 1, "endport": 2}]}]},
            {},
            f"spec.ingress[0].ports[0].endport: {NO_FIELD}; write endPort",
        ),
        (
            {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "excepts": []}}]}]},
            {},
            f"spec.egress[0].to[0].ipBlock.excepts: {NO_FIELD}; write except",
        ),
        (
            {"podSelector": {"app": "cart"}},
            {},
            f"spec.podSelector.app: {NO_FIELD}; use matchLabels or matchExpressions",
        ),
        (
            {"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "value": "b"}]}},
            {},
            f"spec.podSelector.matchExpressions[0].value: {NO_FIELD}; write values",
        ),
        (
            {},
            {"podSelector": {}},
            f"podSelector: {NO_FIELD}; use apiVersion, kind, metadata, spec or status",
        ),
    ],
)
def test_fields_that_the_api_does_not_know_are_refused(spec: Any, top: Any, problem: str) -> None:
    """A misspelled or misplaced field would be dropped, and the policy would say something else."""
    assert refusals(spec, **top) == [problem]


def test_all_mistakes_of_a_policy_are_told_at_once() -> None:
    """Nobody has to run the program once for each mistake."""
    told = refusals(
        {
            "podSelector": {"matchLabels": {"app": "a b"}},
            "policyTypes": ["Outgress"],
            "ingress": [{"ports": [{"port": 0}, {"protocol": "IP"}], "from": [{}]}],
            "egress": [{"to": [{"ipBlock": {"cidr": "all"}}]}, {"to": [None]}],
        }
    )
    assert sorted(sentence.partition(" ")[0].rstrip(":") for sentence in told) == [
        "spec.egress[0].to[0].ipBlock.cidr",
        "spec.egress[1].to[0]",
        "spec.ingress[0].from[0]",
        "spec.ingress[0].ports[0].port",
        "spec.ingress[0].ports[1].protocol",
        "spec.podSelector.matchLabels[app]",
        "spec.policyTypes[0]",
    ]


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({"namespace": "shop"}, "metadata.name: is missing; name the object"),
        (
            {"name": "Deny", "namespace": "shop"},
            "metadata.name = \"Deny\": is not an object name; use lower-case letters, digits, '-' and '.'",
        ),
        (
            {"name": "deny", "namespace": "a.b"},
            'metadata.namespace = "a.b": is not a namespace name; use at most 63 lower-case letters, '
            "digits and '-'",
        ),
        (
            {"name": "deny", "namespace": "shop", "labels": {"app": "a b"}},
            f'metadata.labels[app] = "a b": is not a label value; {NAME_RULE}',
        ),
    ],
)
def test_names_that_the_api_server_refuses_are_refused(metadata: Any, problem: str) -> None:
    """Name, namespace and labels of the policy itself."""
    (told,) = loaded({}, metadata=metadata).problems
    assert str(told).endswith(problem)


@given(st.lists(some.policies(), min_size=1, max_size=4, unique_by=lambda network_policy: network_policy.ref))
def test_decode_after_encode_is_the_identity(policies: list[NetworkPolicy]) -> None:
    """What the program prints means what it meant, to the last field."""
    found = load(read_documents(to_yaml(policies).encode(), "generated.yaml"))
    assert found.problems == ()
    assert [_content(network_policy) for network_policy in found.objects] == [
        _content(network_policy) for network_policy in policies
    ]


def _content(decoded: NetworkPolicy) -> tuple[Any, ...]:
    return (
        decoded.ref.key,
        decoded.pod_selector,
        decoded.policy_types,
        decoded.ingress,
        decoded.egress,
        decoded.labels,
        decoded.annotations,
    )
