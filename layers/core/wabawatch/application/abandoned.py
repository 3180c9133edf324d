"""Threads that were given up because they took too long, and may still be running."""

from __future__ import annotations

import threading


class AbandonedThreads:
    """Remembers them by what they work on, so that their number stays bounded. Forgets those that have ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[tuple[object, threading.Thread]] = []

    def add(self, key: object, thread: threading.Thread) -> None:
        with self._lock:
            self._threads.append((key, thread))

    def running(self, key: object) -> list[threading.Thread]:
        """Return those that work on `key` and have not ended."""
        with self._lock:
            self._threads = [(of, thread) for of, thread in self._threads if thread.is_alive()]
            return [thread for of, thread in self._threads if of == key]
