"""How a demo ends that has started servers: by itself, at Ctrl-C, or when its reader has seen enough."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

STOPPED = 130
"""What a shell says of a program that Ctrl-C ended."""


def play(demo: Callable[[], None]) -> None:
    """Runs a demo, which ends what it started whatever happens."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        demo()
    except BrokenPipeError:
        # The reader has seen enough (`make demo-cluster | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """Ends everything once; who presses Ctrl-C again has to wait for that."""
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, signal.SIG_IGN)
    print("\nStopping what was started ...", file=sys.stderr, flush=True)
    sys.exit(STOPPED)
