"""Cut off code that runs too long, in the same process, where the platform can."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeUp(BaseException):
    """The time is over. Not an Exception, so that ``except Exception`` in a loop cannot keep it."""


def can_interrupt() -> bool:
    """Whether an endless loop can be cut off here: POSIX, and the main thread."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise ``TimeUp`` inside the block when it has run for ``seconds``.

    Where ``can_interrupt()`` is false the block runs as long as it likes. A timer that was
    set before is put back with the time it has left, and so is its handler. One long call into
    compiled code is cut off only when it returns.
    """
    if not can_interrupt():
        yield
        return
    armed = True

    def ring(signum: int, frame: FrameType | None) -> None:
        if armed:
            raise TimeUp

    started = time.monotonic()
    old_handler = signal.signal(signal.SIGALRM, ring)
    # It rings again until it is heard: a bare `except:` may swallow the first.
    old_left, old_interval = signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        try:
            yield
        finally:
            armed = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old_handler if old_handler is not None else signal.SIG_DFL)
        if old_left:
            left = max(old_left - (time.monotonic() - started), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, left, old_interval)
