"""The most memory that this process and all it starts hold at any time."""

from __future__ import annotations

import threading

import psutil


class PeakMemory:
    """Sample the memory of this process and all its children until closed (bytes)."""

    def __init__(self, interval: float = 0.1) -> None:
        self.peak = 0
        self._interval = interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.is_set():
            self.peak = max(self.peak, self._children())
            self._done.wait(self._interval)

    @staticmethod
    def _children() -> int:
        total = 0
        for child in psutil.Process().children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.Error:  # it ended between the listing and the question
                continue
        return total
