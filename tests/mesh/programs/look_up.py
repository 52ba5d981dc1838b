"""Asks the resolver of /etc/resolv.conf for the IPv4 addresses of a name, and prints them as JSON.

`python look_up.py NAME udp|tcp SECONDS`; names are taken as they are, without the search path.
"""

from __future__ import annotations

import json
import sys

import dns.exception
import dns.resolver


def look_up(name: str, over_tcp: bool, seconds: float) -> dict[str, object]:
    """The addresses, and what went wrong: nothing, or the resolver's own words."""
    try:
        answer = dns.resolver.resolve(name, "A", tcp=over_tcp, lifetime=seconds, search=False)
    except dns.exception.DNSException as error:
        return {"addresses": [], "failure": str(error)}
    return {"addresses": sorted(record.address for record in answer), "failure": ""}


if __name__ == "__main__":
    print(json.dumps(look_up(sys.argv[1], sys.argv[2] == "tcp", float(sys.argv[3]))))
