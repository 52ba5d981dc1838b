"""Reads from an overlay's values what its proof can't know from elsewhere: addresses of a single cluster."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import yaml

VALUES_FILE = "values.yaml"


def dns_addresses(folder: Path) -> tuple[str, ...]:
    """The addresses at which DNS answers, as `dns` of the overlay's values names them. None where it has no
    values, or where they can't be read: the build tells what is wrong with them."""
    try:
        content: Any = yaml.safe_load((folder / VALUES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return ()
    dns = content.get("dns") if isinstance(content, dict) else None
    if not isinstance(dns, dict):
        return ()
    peers = dns.get("peers")
    blocks = (
        [peer.get("ipBlock") for peer in peers if isinstance(peer, dict)] if isinstance(peers, list) else []
    )
    named = [dns.get("serviceAddress"), *(block.get("cidr") for block in blocks if isinstance(block, dict))]
    return tuple(address for value in named if (address := _single(value)))


def _single(cidr: object) -> str:
    """The address of a range that has only one; otherwise None."""
    try:
        network = ip_network(str(cidr))
    except ValueError:
        return ""
    return str(network.network_address) if network.num_addresses == 1 else ""
