"""A notification as a Slack message: Block Kit for those who look, `text` for phones and screen readers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from wabawatch.adapters.notifiers import plain, slack_text
from wabawatch.domain.notification import Notification
from wabawatch.domain.telling import Explanation, Fact, Passage, Telling, cut_note, tell
from wabawatch.messages.text import pluralize
from wabawatch.messages.titles import Mark, headline

Block = dict[str, Any]

_QUIET: Final = {"unfurl_links": False, "unfurl_media": False}
_RESERVED: Final = 1_000
"""Kept free for the context and the words that say what was cut."""


class _Sheet:
    """Takes blocks while Slack's limits allow it."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._left = slack_text.TOTAL - _RESERVED

    def add(self, block: Block) -> bool:
        weight = slack_text.units(msgspec.json.encode(block).decode()) + 1
        if weight > self._left or len(self.blocks) >= slack_text.BLOCKS - 2:
            return False
        self.blocks.append(block)
        self._left -= weight
        return True


def message(notification: Notification) -> dict[str, Any]:
    """The payload of an incoming webhook."""
    telling = tell(notification, slack_text.pen(in_full=notification.kind != "digest"))
    top, is_cut = _header(notification, telling.mark)
    sheet = _Sheet()
    sheet.add(top)
    if telling.note:
        sheet.add(_section(f"*{telling.note}*"))
    reasons, incidents = (_digest if notification.kind == "digest" else _single)(telling, sheet)
    note = cut_note(telling.is_cut or is_cut or reasons + incidents > 0, reasons, incidents, telling.passages)
    footer = [_context(" · ".join(telling.footer)), *([_context(note)] if note else [])]
    return {"text": _fallback(telling), "blocks": [*sheet.blocks, *footer], **_QUIET}


def plain_message(notification: Notification) -> dict[str, Any]:
    """The same news without any formatting: for when Slack does not understand the blocks."""
    telling = tell(notification, slack_text.plain_pen())
    return {"text": _filled(plain.lines(telling)), "mrkdwn": False, **_QUIET}


def _header(notification: Notification, mark: Mark) -> tuple[Block, bool]:
    raw = headline(notification, slack_text.raw_headline_pen())
    pen = slack_text.header_pen(slack_text.HEADER - slack_text.units(mark.sign) - 1)
    text = f"{mark.sign} {pen.long(raw)}"
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": False}}, pen.has_cut


def _single(telling: Telling, sheet: _Sheet) -> tuple[int, int]:
    """One incident in full; how many of its reasons had no room."""
    left = 0
    for passage in telling.passages:
        sheet.add({"type": "section", "fields": [_markdown(_fact(one)) for one in passage.facts[: slack_text.FIELDS]]})
        shown = [sheet.add(_section(_explained(one))) for one in passage.reasons]
        left += passage.reasons_more + shown.count(False)
    return left, telling.more


def _digest(telling: Telling, sheet: _Sheet) -> tuple[int, int]:
    """Several incidents in short; how many had no room. A digest names one reason each, which is no cut."""
    shown = [sheet.add(_section(_listed(one))) for one in telling.passages]
    return 0, telling.more + shown.count(False)


def _listed(passage: Passage) -> str:
    facts = " · ".join(fact.text for fact in passage.facts if fact.label in {"Status", "Since", "Lasted"})
    others = [f"{fact.label}: {fact.text}" for fact in passage.facts if fact.label in {"TargetInfo", "Incident"}]
    more = f" (+{pluralize(passage.reasons_more, 'more reason')})" if passage.reasons_more else ""
    reasons = [_explained(one) + more for one in passage.reasons]
    return "\n".join([f"{passage.mark.sign} *{passage.title}*", facts, *others, *reasons])


def _fact(fact: Fact) -> str:
    return f"*{fact.label}*\n{fact.text}"


def _explained(reason: Explanation) -> str:
    head = f"*{f'{reason.label} {reason.code}'.strip()}:* "
    advised = (
        ("The API suggests", reason.solution),
        ("Who can fix it", reason.who),
        ("What to do", reason.action),
    )
    lines = [f"{head}{reason.text}", *(f"*{label}:* {text}" for label, text in advised if text)]
    if reason.link:
        lines[-1] += f" <{reason.link}|Read on>"
    return "\n".join(lines)


def _fallback(telling: Telling) -> str:
    """What a locked phone shows and a screen reader reads: the headline first."""
    lines = [f"{telling.mark.sign} {telling.headline}", *([telling.note] if telling.note else [])]
    for passage in telling.passages:
        lines += [] if len(telling.passages) == 1 else [f"{passage.mark.sign} {passage.title}"]
        lines += [f"{fact.label}: {fact.text}" for fact in passage.facts]
        lines += [line.strip() for reason in passage.reasons for line in plain.explained(reason)]
    return _filled([*lines, " · ".join(telling.footer)])


def _filled(lines: list[str]) -> str:
    """As many whole lines as there is room for: a line is never cut, because it may hold markup."""
    kept: list[str] = []
    left = slack_text.FALLBACK
    for line in lines:
        left -= slack_text.units(line) + 1
        if left < 0:
            return "\n".join([*kept, "… (cut)"])
        kept.append(line)
    return "\n".join(kept)


def _section(text: str) -> Block:
    return {"type": "section", "text": _markdown(text)}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_markdown(text)]}


def _markdown(text: str) -> Block:
    """`verbatim`: Slack makes no links or mentions of its own out of outside text."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
