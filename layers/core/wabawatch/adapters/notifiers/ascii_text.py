"""Text in ASCII: for an SNS subject, where an emoji is an InvalidParameter, and for SMS, where it makes three parts out
of one."""

from __future__ import annotations

import unicodedata
from typing import Final

from wabawatch.domain.notification import TargetInfo
from wabawatch.domain.pen import Pen, Room

SUBJECT: Final = 99
_CONSIDERED: Final = 200
"""Characters of a name: putting thousands of marks on one letter in order takes minutes."""
SMS: Final = 160

_WRITTEN: Final = str.maketrans(
    {
        "→": "->", "…": "...", "\u2013": "-", "\u2014": "-", "·": "-",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2018": "'", "\u2019": "'", "«": '"', "»": '"',
        "ß": "ss", "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "oe", "Ø": "Oe", "æ": "ae",
        "Æ": "Ae", "å": "aa", "Å": "Aa", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "\u0131": "i",
        "€": "EUR", "£": "GBP", "№": "No.",
    }
)  # fmt: skip
_NOT_IN_SMS: Final = str.maketrans("`^{}[]~|\\", "''()()-//")
"""The first is not in GSM-7 at all, the others count twice there."""


def spelled(text: str) -> str:
    """As near as ASCII comes, on one line; a question mark stands for each run of what has no likeness."""
    plain = unicodedata.normalize("NFKD", text.translate(_WRITTEN)).translate(_WRITTEN)
    kept: list[str] = []
    for character in plain:
        if " " <= character <= "~":
            kept.append(character)
        elif not unicodedata.category(character).startswith("M") and kept[-1:] != ["?"]:
            kept.append("?")
    return " ".join("".join(kept).split())


def gsm(text: str) -> str:
    """ASCII that is one GSM-7 unit for each character."""
    return spelled(text).translate(_NOT_IN_SMS)


def first(text: str, most: int) -> str:
    """The text, or its beginning and three full stops."""
    return text if len(text) <= most else text[: most - 3].rstrip() + "..."


class SpellingPen(Pen):
    """Writes in ASCII. A name that would be lost, in Arabic say, gives way to its id, which is always ASCII."""

    def __init__(self) -> None:
        super().__init__(Room(short=60, long=300, names=3, reasons=3, passages=3), escape=gsm)

    def called(self, affected: TargetInfo) -> str:
        written = spelled(affected.name[:_CONSIDERED])
        lost = "?" in written and "?" not in affected.name
        return self.short(affected.id if lost or not written else affected.name)

    def name(self, affected: TargetInfo) -> str:
        return self.called(affected)
