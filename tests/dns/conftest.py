"""Name servers for one test, closed at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.dns.server import NameServer, Zone

Serve = Callable[[Zone], NameServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda zone: stack.enter_context(NameServer(zone))
