"""A way for the tests, which run in the host's network, to the API server of a sandbox."""

from __future__ import annotations

import itertools
import os
import subprocess
from ipaddress import IPv4Address

from tests.mesh import topology
from tests.mesh.sandbox import Sandbox

RANGE = IPv4Address("169.254.16.0")
"""Of the link-local addresses, which no router forwards. Clouds answer at some below and above."""

LINKS = 16 * 256 // 4
"""As many networks of four addresses as there are from 169.254.16.0 to 169.254.31.255."""

_NUMBERS = itertools.count(os.getpid())


class HostLink:
    """An interface of the host whose other end is in the control plane's network namespace.

    The interface's name has the number of its addresses: whoever makes it first has both, so meshes side by
    side need not know each other. It goes with the sandbox.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.interface, first = self._claim()
        self.host, self.address = str(first + 1), str(first + 2)
        for command in (
            f"address add {self.host}/30 dev {self.interface}",
            f"link set {self.interface} up",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        sandbox.run(*topology.script(topology.to_host(self.interface, self.address)))

    def _claim(self) -> tuple[str, IPv4Address]:
        for number in itertools.islice(_NUMBERS, LINKS):
            place = number % LINKS
            name = f"mesh{place}"
            words = f"link add {name} type veth peer name {name} netns {self._sandbox.init}"
            made = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=False)
            if made.returncode == 0:
                return name, RANGE + 4 * place
            if "File exists" not in made.stderr:
                raise OSError(f"the host gives the mesh no interface: {made.stderr.strip()}")
        raise OSError(f"all {LINKS} links of meshes to this host are taken: end meshes that are left over")
