"""What a probe brings home, before anybody has read it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wabawatch.domain.health import Failure


class Answer(msgspec.Struct, frozen=True):
    """One HTTP answer, or as much of it as came. `status` is 0 where no status line did; header names are in lower
    case; `broken` says why the answer is not whole.
    """

    status: int = 0
    headers: Mapping[str, str] = {}
    body: bytes = b""
    broken: Failure | None = None
