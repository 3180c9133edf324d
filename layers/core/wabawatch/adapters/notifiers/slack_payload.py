"""A notification as a Slack message: Block Kit for people in the channel, `text` for phones and screen readers.

A message is rendered within limits that count each text as it will be escaped; it is escaped after that, so that no
escape is cut in two."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from wabawatch.domain.notification import Notification
from wabawatch.messages.message import (
    Message,
    ReasonText,
    Section,
    format_lines,
    format_reason,
    map_texts,
    render_message,
    truncation_note,
)
from wabawatch.messages.notification import TextLimits
from wabawatch.messages.text import format_utc, pluralize, truncate

_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_LOOKALIKES: Final = str.maketrans({"*": "\u2217", "`": "'", "~": "\u223c"})
_EDGE: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore that begins or ends a word."""


def escape(text: str) -> str:
    """Escape exactly these three characters: without it, `<!channel>` in a description notifies everybody."""
    return text.translate(_ESCAPES)


def escape_formatting(text: str) -> str:
    """Escape, and replace characters that format by others of the same look: Slack has no escape for them, and text in
    bold could pass for our own advice. An underscore inside a word formats nothing and stays."""
    return escape(_EDGE.sub("\u02cd", text.translate(_LOOKALIKES)))


def count_units(text: str) -> int:
    """Return the length in UTF-16 units, in which a client written in JavaScript counts."""
    return len(text.encode("utf-16-le", "replace")) // 2


def count_json_units(text: str) -> int:
    """Return the length in UTF-16 units of the text inside a JSON string."""
    return count_units(msgspec.json.encode(text).decode()) - 2


def format_date(at: datetime) -> str:
    """Write an instant in the reader's own time, and in UTC for comparisons and where Slack does not render dates."""
    fallback = format_utc(at)
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{fallback}> ({at.astimezone(UTC):%H:%M} UTC)"


Block = dict[str, Any]

_MAX_BLOCKS: Final = 50
_MAX_HEADER: Final = 150
_MAX_FIELDS: Final = 10
_MAX_TOTAL: Final = 9_500
"""Of all blocks together, as JSON. Slack refuses messages above some 13,000 (`msg_blocks_too_long`), and does not
document how it counts."""
_MAX_FALLBACK: Final = 2_500
_RESERVED: Final = 1_000
"""Kept free for the context and the truncation note."""
_NO_UNFURLING: Final = {"unfurl_links": False, "unfurl_media": False}


def _formatted_cost(text: str) -> int:
    return count_json_units(escape_formatting(text))


def _plain_cost(text: str) -> int:
    return count_json_units(escape(text))


_LIMITS: Final = TextLimits(short=75, long=500, names=6, reasons=12, sections=20, cost=_formatted_cost)
_DIGEST_LIMITS: Final = TextLimits(short=60, long=200, names=4, reasons=1, sections=20, cost=_formatted_cost)
"""An incident of a digest is one section block, which takes 3,000 characters."""
_PLAIN_LIMITS: Final = TextLimits(short=75, long=500, names=6, reasons=12, sections=20, cost=_plain_cost)


class _BlockList:
    """Takes blocks while Slack's limits allow it."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._left = _MAX_TOTAL - _RESERVED

    def add(self, block: Block) -> bool:
        size = count_units(msgspec.json.encode(block).decode()) + 1
        if size > self._left or len(self.blocks) >= _MAX_BLOCKS - 2:
            return False
        self.blocks.append(block)
        self._left -= size
        return True


def build_payload(notification: Notification) -> dict[str, Any]:
    """Build the payload of an incoming webhook."""
    is_digest = notification.kind == "digest"
    plain = render_message(notification, _DIGEST_LIMITS if is_digest else _LIMITS)
    message = map_texts(plain, escape_formatting, write_link=escape)
    fitting_title = _fit_title(plain)
    blocks = _BlockList()
    header = f"{plain.badge.sign} {escape(fitting_title)}"
    blocks.add({"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}})
    if message.note:
        blocks.add(_section_block(f"*{message.note}*"))
    hidden_reasons, hidden_incidents = (_add_digest if is_digest else _add_sections)(message, blocks)
    footer = [_context_block(message.format_footer(format_date))]
    if plain.is_truncated or fitting_title != plain.title or hidden_reasons or hidden_incidents:
        footer.append(_context_block(truncation_note(message.sections, hidden_reasons, hidden_incidents)))
    return {"text": _format_fallback(message), "blocks": [*blocks.blocks, *footer], **_NO_UNFURLING}


def build_plain_payload(notification: Notification) -> dict[str, Any]:
    """Build the same message without any formatting: for when Slack does not understand the blocks."""
    lines = format_lines(render_message(notification, _PLAIN_LIMITS))
    return {"text": _join_fitting([escape(line) for line in lines]), "mrkdwn": False, **_NO_UNFURLING}


def _fit_title(message: Message) -> str:
    room = _MAX_HEADER - count_units(message.badge.sign) - 1
    return truncate(message.title, room, lambda text: count_units(escape(text)))


def _add_sections(message: Message, blocks: _BlockList) -> tuple[int, int]:
    """Add an incident in full. Return how many reasons and incidents are not shown."""
    hidden = 0
    for section in message.sections:
        fields = [f"*{field.label}*\n{field.format(format_date)}" for field in section.fields[:_MAX_FIELDS]]
        blocks.add({"type": "section", "fields": [_markdown(field) for field in fields]})
        added = [blocks.add(_section_block(_format_reason(reason))) for reason in section.reasons]
        hidden += section.hidden_reasons + added.count(False)
    return hidden, message.hidden_incidents


def _add_digest(message: Message, blocks: _BlockList) -> tuple[int, int]:
    """Add several incidents in short. A digest names one reason each, so that no reason counts as hidden."""
    added = [blocks.add(_section_block(_format_in_digest(section))) for section in message.sections]
    return 0, message.hidden_incidents + added.count(False)


def _format_in_digest(section: Section) -> str:
    texts = {field.label: field.format(format_date) for field in section.fields}
    facts = " · ".join(text for label, text in texts.items() if label in {"Status", "Since", "Lasted"})
    others = [f"{label}: {text}" for label, text in texts.items() if label in {"Affected", "Incident"}]
    more = f" (+{pluralize(section.hidden_reasons, 'more reason')})" if section.hidden_reasons else ""
    reasons = [_format_reason(reason) + more for reason in section.reasons]
    return "\n".join([f"{section.badge.sign} *{section.title}*", facts, *others, *reasons])


def _format_reason(reason: ReasonText) -> str:
    advice = (
        ("The API suggests", reason.solution),
        ("Who can fix it", reason.who),
        ("What to do", reason.action),
    )
    lines = [
        f"*{f'{reason.label} {reason.code}'.strip()}:* {reason.text}",
        *(f"*{label}:* {text}" for label, text in advice if text),
    ]
    if reason.link:
        lines[-1] += f" <{reason.link}|Guide>"
    return "\n".join(lines)


def _format_fallback(message: Message) -> str:
    """Write what a locked phone shows and a screen reader reads: the title first."""
    lines = [f"{message.badge.sign} {message.title}", *([message.note] if message.note else [])]
    for section in message.sections:
        lines += [] if len(message.sections) == 1 else [f"{section.badge.sign} {section.title}"]
        lines += [f"{field.label}: {field.format(format_date)}" for field in section.fields]
        lines += [line.strip() for reason in section.reasons for line in format_reason(reason)]
    return _join_fitting([*lines, message.format_footer(format_date)])


def _join_fitting(lines: list[str]) -> str:
    """Join as many whole lines as there is room for: a line is never cut, because it may hold markup."""
    kept: list[str] = []
    left = _MAX_FALLBACK
    for line in lines:
        left -= count_units(line) + 1
        if left < 0:
            return "\n".join([*kept, "… (cut)"])
        kept.append(line)
    return "\n".join(kept)


def _section_block(text: str) -> Block:
    return {"type": "section", "text": _markdown(text)}


def _context_block(text: str) -> Block:
    return {"type": "context", "elements": [_markdown(text)]}


def _markdown(text: str) -> Block:
    """`verbatim`: Slack makes no links or mentions of its own out of outside text."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
