"""A pen: writes outside text into one message, harmless and short enough for its format, and remembers every cut."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from urllib.parse import quote

import msgspec

from wabawatch.domain.notification import TargetInfo
from wabawatch.messages.text import Cost, clean, cut, listed, utc

_LONGEST_LINK: Final = 400
_HIDDEN_SHARE: Final = 20
"""Of a text many times longer than its room only so much is looked at: what cleaning removes is rarely most of it."""


class Room(msgspec.Struct, frozen=True):
    """How much a destination has room for: characters of a short and of a long text, and how many of each thing."""

    short: int = 100
    long: int = 1500
    names: int = 20
    reasons: int = 50
    passages: int = 50


class Pen:
    """One for each message. `escape` makes text harmless in the format, `when` writes instants, `cost` measures."""

    def __init__(
        self,
        room: Room,
        *,
        escape: Callable[[str], str] = str,
        when: Callable[[datetime], str] = utc,
        cost: Cost = len,
    ) -> None:
        self.room = room
        self.when = when
        self.has_cut = False
        self._escape = escape
        self._cost = cost

    def short(self, text: str) -> str:
        return self._write(text, self.room.short)

    def long(self, text: str) -> str:
        return self._write(text, self.room.long)

    def called(self, affected: TargetInfo) -> str:
        """What people call a number; its id where it has no other name."""
        return self.short(affected.name) or self.short(affected.id)

    def name(self, affected: TargetInfo) -> str:
        """`Support Germany (support-de)`: the id is what people type next."""
        name, target = self.short(affected.name), self.short(affected.id)
        return f"{name} ({target})" if name and name != target else target

    def names(self, affected: tuple[TargetInfo, ...], total: int) -> str:
        return listed((self.name(one) for one in affected), total, self.room.names)

    def link(self, url: str) -> str:
        """A web address, with everything encoded that could end it or begin something else; nothing if it is too long:
        half an address is none."""
        if not url.startswith(("https://", "http://")) or len(url) > _LONGEST_LINK:
            return ""
        written = self._escape(quote(url, safe=":/?#[]@!$&'()*+,;=%~", errors="replace"))
        return written if len(written) <= _LONGEST_LINK else ""

    def _write(self, text: str, most: int) -> str:
        """Cut before escaping, by the cost of what the escaping makes of it: so nothing is ever cut in two."""
        considered = text[: most * _HIDDEN_SHARE]
        harmless = clean(considered)
        kept = cut(harmless, most, lambda part: self._cost(self._escape(part)))
        self.has_cut = self.has_cut or kept is not harmless or considered is not text
        return self._escape(kept)
