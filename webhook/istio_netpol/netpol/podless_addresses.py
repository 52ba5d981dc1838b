"""Addresses that no pod can have: an ipBlock that leaves only these out leaves out no pod.

Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries; learn.microsoft.com, "What is IP address
168.63.129.16". Whole private ranges are not here, nor 240.0.0.0/4: clusters give pods addresses from both.
"""

from __future__ import annotations

from istio_netpol.model.addresses import ALL_IPV4, ALL_IPV6, AddressSet

PODLESS = AddressSet.of(
    "0.0.0.0/8",  # this network
    "127.0.0.0/8",  # loopback: a connection to it does not leave the pod
    "168.63.129.16/32",  # Azure's own server, the same on every machine
    "169.254.0.0/16",  # link-local: most clouds' metadata, node-local DNS
    "192.0.0.0/24",  # protocol assignments, not usable otherwise
    "224.0.0.0/4",  # multicast
    "255.255.255.255/32",  # broadcast
    "::/127",  # unspecified, loopback
    "::ffff:0:0/96",  # IPv4 in another spelling, never on a packet
    "fd00:ec2::254/128",  # AWS: metadata by IPv6
    "fe80::/10",  # link-local
    "ff00::/8",  # multicast
)

POSSIBLE_ADDRESSES = (ALL_IPV4 - PODLESS, ALL_IPV6 - PODLESS)
"""Where pods may be, by family, IPv4 first."""
