"""Addresses that are not those of a public service: only an administrator opens them, by settings.

Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries (rows whose "Globally Reachable" is not
True), the IANA IPv6 Global Unicast Address Assignments, and the cloud providers' own pages, named beside each
row.
"""

from __future__ import annotations

from istio_netpol.model.addresses import ALL_IPV6, AddressSet

# Ranges for examples (RFC 5737, RFC 3849, RFC 9637) are not among them: nobody is there, so nothing is to be
# protected, and pages, tests and demonstrations show public hosts by them.
_SPECIAL_IPV4 = AddressSet.of(
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",  # private use
    "100.64.0.0/10",  # shared with carriers, and used inside clouds
    "127.0.0.0/8",  # loopback
    "169.254.0.0/16",  # link-local, and most clouds' metadata
    "172.16.0.0/12",  # private use
    "192.0.0.0/24",  # protocol assignments, two anycast services among them
    "192.88.99.0/24",  # 6to4 relays, given up by RFC 7526
    "192.168.0.0/16",  # private use
    "198.18.0.0/15",  # benchmarks
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
)

_GLOBAL_UNICAST = AddressSet.of("2000::/3")
"""All that IANA hands out of IPv6. What lies outside is loopback, local, multicast, not assigned, or embeds
IPv4 addresses: compatible (`::/96`), mapped (`::ffff:0:0/96`), translated (`::ffff:0:0:0/96`, `64:ff9b::/96`,
`64:ff9b:1::/48`)."""

_SPECIAL_IN_GLOBAL_UNICAST = AddressSet.of(
    "2001::/23",  # protocol assignments: Teredo (embeds IPv4), benchmarks, ORCHID
    "2002::/16",  # 6to4 (embeds IPv4)
)

METADATA = AddressSet.of(
    "169.254.169.254",  # most clouds
    "fd00:ec2::254",  # AWS by IPv6 (docs.aws.amazon.com, "Instance metadata")
    "fe80::a9fe:a9fe",  # OpenStack by IPv6 (Neutron specification of Ussuri)
    "100.100.100.200",  # Alibaba (alibabacloud.com, "Access instance metadata")
    "192.0.0.192",  # Oracle Classic
)
"""Where clouds tell a machine about itself, and give out its credentials."""

PLATFORM = METADATA | AddressSet.of(
    "168.63.129.16",  # Azure: WireServer, probes, DNS (learn.microsoft.com, "What is 168.63.129.16")
    "161.26.0.0/16",  # IBM: name servers and time (cloud.ibm.com, "Service endpoints for VPC")
    "166.8.0.0/14",  # IBM: endpoints of its own services, on the same page
)
"""Where clouds offer what only the machine itself should ask. Most lie in special ranges already; Azure's and
IBM's do not. An administrator who uses one for a public service names it in `hosts.allowedPrivate`."""

SPECIAL = AddressSet.union((_SPECIAL_IPV4, ALL_IPV6 - _GLOBAL_UNICAST, _SPECIAL_IN_GLOBAL_UNICAST, PLATFORM))
"""All of them. Every spelling is covered, since an `AddressSet` holds numbers."""

_PRIVATE_USE = AddressSet.of(
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "240.0.0.0/5",  # Gardener maps the API server's endpoint to it, and clouds route it privately
    "64:ff9b:1::/48",  # the same by IPv6
    "fc00::/7",
)
NOT_A_SERVER = (SPECIAL - _PRIVATE_USE) | PLATFORM
"""Where nothing answers that administrators run for the whole cluster: the machine itself, its neighbours,
the platform, in every spelling. Private addresses are left out: most clusters' own servers have one."""
