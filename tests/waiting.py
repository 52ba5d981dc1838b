"""Waiting for something to hold, with the reason at hand where it never does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from tests.cluster.server_process import ServerProcess

EVERY = 0.05


def wait_until(
    what: str,
    holds: Callable[[], object],
    seconds: float = 60.0,
    servers: Iterable[ServerProcess] = (),
    says: Callable[[], str] = str,
) -> None:
    """Waits for something to hold. Fails when it takes too long, with what `says` has to say, or at once when
    one of the servers has ended."""
    ends = time.monotonic() + seconds
    watched = tuple(servers)
    while not holds():
        for server in watched:
            assert not server.died, f"{server.name} ended:\n{server.last_lines()}"
        assert time.monotonic() < ends, f"not within {seconds:g} s: {what}\n{says()}"
        time.sleep(EVERY)
