"""The loop as a worker of gunicorn, which forks it, sees to its sign of life, and stops it."""

from __future__ import annotations

import os
import resource
import signal
import time
from typing import Any

from gunicorn.workers.base import Worker

from istio_netpol.http.limits import Limits
from istio_netpol.http.loop import EventLoop, Site

SPARE_FILES = 256
"""Open files besides connections: logs, watches, lookups."""

BEAT_SECONDS = 1.0


class LoopWorker(Worker):  # type: ignore[misc]
    """A worker class by gunicorn's documented way: a subclass of `Worker` with a `run` of its own. Of the
    application it wants `limits`, `refusals` and `context`, as `server.serving.WebhookServer` has them."""

    def init_signals(self) -> None:
        """Leaves SIGINT to the parent: Ctrl-C reaches both, and stops as gracefully as SIGTERM."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begins to stop."""
        super().handle_exit(sig, frame)
        if self._loop:
            self._loop.wake()

    def init_process(self) -> None:
        """Makes room for the connections, then goes on as every worker."""
        self._loop: EventLoop | None = None
        self._beaten = 0.0
        _allow_files(self.app.limits)
        super().init_process()

    def run(self) -> None:
        """Serves until the worker is told to stop, or its parent has gone."""
        site = Site([wrapper.sock for wrapper in self.sockets], self.app.context, self.wsgi)
        self._loop = EventLoop(site, self.app.limits, self.app.refusals)
        self._loop.run(lambda: self._lives() and self.alive)
        self._loop.stop(self._lives, self.cfg.graceful_timeout)

    def _lives(self) -> bool:
        now = time.monotonic()
        if now - self._beaten > BEAT_SECONDS:
            self._beaten = now
            self.notify()
        return bool(self.ppid == os.getppid())


def _allow_files(limits: Limits) -> None:
    """Raises the soft limit on open files to what the connections need, as far as the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = limits.connections + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
