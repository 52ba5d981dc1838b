"""An alarm for a thread that sleeps until another one has taken too long.

Who waits with a timeout of its own has to look time and again. Each look wakes a thread, which asks for the
interpreter's lock beside the one that works. A timer of the kernel is set and put off by who works, in a
microsecond each, and wakes nobody until it rings.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
import time
import weakref
from typing import Any, Protocol

_CLOSE_ON_EXEC = os.O_CLOEXEC
"""TFD_CLOEXEC, which is the same number (timerfd_create(2))."""

_Times = ctypes.c_long * 4
"""`struct itimerspec`: seconds and nanoseconds of the interval, of which there is none, and of the first
time."""

_OFF = _Times(0, 0, 0, 0)
_AT_ONCE = _Times(0, 0, 0, 1)


class Alarm(Protocol):
    """Rings once. Any thread may set it; one at a time waits for it."""

    def set(self) -> None:
        """Has it ring in a while, counted from now."""

    def clear(self) -> None:
        """Puts it off."""

    def ring(self) -> None:
        """Has it ring at once."""

    def wait(self) -> None:
        """Waits until it rings. May return early, but not for ever."""


def alarm_after(seconds: float) -> Alarm:
    """An alarm that rings so long after it was set: by the kernel where it has such timers, as Linux has."""
    try:
        return _KernelAlarm(seconds)
    except (AttributeError, OSError):
        return _PlainAlarm(seconds)


class _KernelAlarm:
    """By a timerfd. Setting it keeps the interpreter's lock, which costs less than to let go of it."""

    def __init__(self, seconds: float) -> None:
        library = ctypes.PyDLL(None, use_errno=True)
        self._set_time = library.timerfd_settime
        self._set_time.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._file = library.timerfd_create(time.CLOCK_MONOTONIC, _CLOSE_ON_EXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "the kernel gives no timer")
        weakref.finalize(self, os.close, self._file)
        whole = int(seconds)
        self._later = _Times(0, 0, whole, int((seconds - whole) * 1e9))

    def set(self) -> None:
        self._start(self._later)

    def clear(self) -> None:
        self._start(_OFF)

    def ring(self) -> None:
        self._start(_AT_ONCE)

    def wait(self) -> None:
        os.read(self._file, 8)

    def _start(self, times: Any) -> None:
        self._set_time(self._file, 0, ctypes.addressof(times), None)


class _PlainAlarm:
    """For other systems. Each setting wakes who waits."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = math.inf
        self._changed = threading.Condition()

    def set(self) -> None:
        self._start(time.monotonic() + self._seconds)

    def clear(self) -> None:
        self._at = math.inf

    def ring(self) -> None:
        self._start(0.0)

    def wait(self) -> None:
        with self._changed:
            while (left := self._at - time.monotonic()) > 0:
                self._changed.wait(None if left == math.inf else left)
            self._at = math.inf

    def _start(self, at: float) -> None:
        with self._changed:
            self._at = at
            self._changed.notify()
