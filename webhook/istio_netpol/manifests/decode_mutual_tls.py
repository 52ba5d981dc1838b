"""Decodes PeerAuthentications, and the TLS settings of DestinationRules."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TypeVar

from istio_netpol.manifests.decode_core import port_number
from istio_netpol.manifests.decode_security import selector_in
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.connections import parse_port
from istio_netpol.model.istio_networking import ClientTls, ClientTlsMode
from istio_netpol.model.istio_security import MutualTls, PeerAuthentication
from istio_netpol.model.references import ObjectRef

Mode = TypeVar("Mode", bound=StrEnum)


def decode_peer_authentication(fields: Fields, ref: ObjectRef) -> Iterator[PeerAuthentication]:
    """A PeerAuthentication; a mode that is absent is UNSET."""
    spec = fields.mapping("spec")
    yield PeerAuthentication(
        ref,
        selector_in(spec),
        _mode(spec.mapping("mtls"), MutualTls, MutualTls.UNSET),
        dict(_port_modes(spec.mapping("portLevelMtls"))),
        fields.mapping("metadata").text("creationTimestamp"),
    )


def _port_modes(ports: Fields) -> Iterator[tuple[int, MutualTls]]:
    """The modes by port of the pods; JSON has numbers as keys in quotes."""
    for key in ports.content:
        number = parse_port(str(key))
        if number is None:
            ports.problem(ports.at(str(key)), None, "is not a port number", "use 1 to 65535")
        else:
            yield number, _mode(ports.mapping(key), MutualTls, MutualTls.UNSET)


def client_tls(fields: Fields) -> ClientTls:
    """The TLS settings of the `trafficPolicy` below a DestinationRule or a subset. `tls` without a mode is
    DISABLE, the first of its values."""
    policy = fields.mapping("trafficPolicy")
    ports = (
        (port_number(settings.mapping("port"), "number"), _mode(tls, ClientTlsMode, ClientTlsMode.DISABLE))
        for settings in policy.mappings("portLevelSettings")
        if (tls := settings.optional("tls")) is not None
    )
    tls = policy.optional("tls")
    mode = None if tls is None else _mode(tls, ClientTlsMode, ClientTlsMode.DISABLE)
    return ClientTls(mode, tuple(ports))


def _mode(fields: Fields, modes: type[Mode], default: Mode) -> Mode:
    said = fields.text("mode", default)
    if said in modes.__members__:
        return modes[said]
    fields.problem(fields.at("mode"), said, "is not a mode", f"use {', '.join(modes.__members__)}")
    return default
