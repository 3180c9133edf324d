"""What was asked of the simulator, so that tests can assert it; the keys themselves are never kept."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_SECRET = ("d360-api-key", "authorization", "cookie")


class RequestLog:
    """Counts of the health requests since the start, or since `clear`."""

    def __init__(self) -> None:
        self.in_progress = 0
        self.clear()

    def clear(self) -> None:
        self.total = 0
        self.unknown_key = 0
        self.most_at_once = 0
        self.connections = 0
        self.by_number: Counter[str] = Counter()
        self.last_headers: dict[str, str] = {}

    @contextmanager
    def request(self, number_id: str | None, headers: Mapping[str, str], *, reused: bool) -> Iterator[None]:
        """Count one request, and that it is in progress meanwhile."""
        self.total += 1
        self.connections += not reused
        self.last_headers = {name: value for name, value in headers.items() if name not in _SECRET}
        if number_id is None:
            self.unknown_key += 1
        else:
            self.by_number[number_id] += 1
        self.in_progress += 1
        self.most_at_once = max(self.most_at_once, self.in_progress)
        try:
            yield
        finally:
            self.in_progress -= 1

    def document(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "unknown_key": self.unknown_key,
            "in_progress": self.in_progress,
            "most_at_once": self.most_at_once,
            "connections": self.connections,
            "by_number": dict(self.by_number),
            "last_headers": self.last_headers,
        }
