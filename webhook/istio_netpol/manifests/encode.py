"""Encodes policies as manifests that people read and kubectl applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from io import StringIO
from typing import Any

import yaml

from istio_netpol.manifests.yaml_scalars import resolve
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.labels import Selector
from istio_netpol.model.policies import Direction, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule

SEPARATOR = "---\n"
"""What stands between two documents of one text."""


def encode_policy(policy: NetworkPolicy) -> JsonObject:
    """The policy as the API server takes it, with keys in the order that people expect."""
    metadata: JsonObject = {"name": policy.name, "namespace": policy.namespace}
    if policy.labels:
        metadata["labels"] = dict(sorted(policy.labels.items()))
    if policy.annotations:
        metadata["annotations"] = dict(sorted(policy.annotations.items()))
    spec = encode_spec(policy)
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def encode_spec(policy: NetworkPolicy) -> JsonObject:
    """The `spec` of the policy."""
    types = [
        str(direction)
        for direction in (Direction.INGRESS, Direction.EGRESS)
        if direction in policy.policy_types
    ]
    spec: JsonObject = {"podSelector": _selector(policy.pod_selector), "policyTypes": types}
    if policy.ingress:
        spec["ingress"] = [_rule(rule, "from") for rule in policy.ingress]
    if policy.egress:
        spec["egress"] = [_rule(rule, "to") for rule in policy.egress]
    return spec


def to_yaml(policies: Sequence[NetworkPolicy], comments: Mapping[str, str] | None = None) -> str:
    """The policies as one YAML text, a document each; `comments` has a line by `namespace/name`."""
    documents = []
    for policy in policies:
        comment = (comments or {}).get(policy.key)
        documents.append((f"# {comment}\n" if comment else "") + manifest_yaml(encode_policy(policy)))
    return SEPARATOR.join(documents)


def manifest_yaml(manifest: Any) -> str:
    """A manifest of mappings, lists, texts and integers as YAML: keys in their order, no line broken, no
    anchors, since nobody edits policies by reference."""
    text = StringIO()
    emitter = yaml.CSafeDumper(text, width=10**6, allow_unicode=True)
    emitter.emit(_STREAM)
    emitter.emit(_DOCUMENT)
    _emit(manifest, emitter.emit)
    emitter.emit(_END_OF_DOCUMENT)
    emitter.emit(_END_OF_STREAM)
    return text.getvalue()


_STREAM, _END_OF_STREAM = yaml.StreamStartEvent(), yaml.StreamEndEvent()
_DOCUMENT, _END_OF_DOCUMENT = yaml.DocumentStartEvent(explicit=False), yaml.DocumentEndEvent(explicit=False)
_MAPPING, _END_OF_MAPPING = yaml.MappingStartEvent(None, None, True, flow_style=False), yaml.MappingEndEvent()
_LIST, _END_OF_LIST = yaml.SequenceStartEvent(None, None, True, flow_style=False), yaml.SequenceEndEvent()
_RESOLVER = yaml.resolver.Resolver()


def _emit(value: Any, emit: Callable[[yaml.Event], object]) -> None:
    """Tells PyYAML's emitter a value. Who is refused waits for it, and PyYAML's own way to here, by nodes,
    takes four times as long."""
    if isinstance(value, str):
        emit(_scalar(value))
    elif isinstance(value, dict):
        emit(_MAPPING)
        for key, member in value.items():
            emit(_scalar(key))
            _emit(member, emit)
        emit(_END_OF_MAPPING)
    elif isinstance(value, list):
        emit(_LIST)
        for member in value:
            _emit(member, emit)
        emit(_END_OF_LIST)
    else:
        emit(yaml.ScalarEvent(None, None, (True, False), str(int(value))))


@lru_cache(maxsize=4096)
def _scalar(text: str) -> yaml.ScalarEvent:
    """A text, in quotes where PyYAML or kubectl reads it as something else without: the labels `y` and
    `12e4`."""
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    style = None if isinstance(resolve(text), str) else "'"
    return yaml.ScalarEvent(None, None, (tag == "tag:yaml.org,2002:str", True), text, style=style)


def _selector(selector: Selector) -> JsonObject:
    encoded: JsonObject = {}
    if selector.match_labels:
        encoded["matchLabels"] = dict(selector.match_labels)
    if selector.match_expressions:
        encoded["matchExpressions"] = [
            {
                "key": requirement.key,
                "operator": str(requirement.operator),
                **({"values": sorted(requirement.values)} if requirement.values else {}),
            }
            for requirement in selector.match_expressions
        ]
    return encoded


def _rule(rule: PolicyRule, peers: str) -> JsonObject:
    encoded: JsonObject = {}
    if rule.peers:
        encoded[peers] = [_peer(peer) for peer in rule.peers]
    if rule.ports:
        encoded["ports"] = [_port(port) for port in rule.ports]
    return encoded


def _peer(peer: PolicyPeer) -> JsonObject:
    if peer.ip_block is not None:
        block: JsonObject = {"cidr": peer.ip_block.cidr}
        if peer.ip_block.exceptions:
            block["except"] = list(peer.ip_block.exceptions)
        return {"ipBlock": block}
    encoded = {}
    if peer.namespace_selector is not None:
        encoded["namespaceSelector"] = _selector(peer.namespace_selector)
    if peer.pod_selector is not None:
        encoded["podSelector"] = _selector(peer.pod_selector)
    return encoded


def _port(port: PolicyPort) -> JsonObject:
    encoded: JsonObject = {"protocol": str(port.protocol)}
    if port.port is not None:
        encoded["port"] = port.port
    if port.end_port is not None:
        encoded["endPort"] = port.end_port
    return encoded
