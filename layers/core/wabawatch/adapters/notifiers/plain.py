"""A telling as plain text: for e-mail, pipes, and wherever formatting was refused."""

from __future__ import annotations

from wabawatch.domain.telling import Explanation, Passage, Telling
from wabawatch.messages.titles import marked


def lines(telling: Telling) -> list[str]:
    """The whole message. The first line is the headline."""
    single = len(telling.passages) == 1 and not telling.more
    parts = [_headed(telling)]
    for passage in telling.passages:
        parts.append([] if single else [marked(passage.mark, passage.title)])
        parts[-1] += _passage(passage)
    parts.append([" · ".join(telling.footer), *([telling.cut_note] if telling.cut_note else [])])
    return [line for number, part in enumerate(parts) for line in ([""] if number and not single else []) + part]


def _headed(telling: Telling) -> list[str]:
    return [marked(telling.mark, telling.headline), *([telling.note] if telling.note else [])]


def _passage(passage: Passage) -> list[str]:
    return [
        *(f"  {fact.label}: {fact.text}" for fact in passage.facts),
        *(line for reason in passage.reasons for line in explained(reason)),
    ]


def explained(reason: Explanation) -> list[str]:
    """A reason in up to five lines."""
    advised = (
        ("The API suggests", reason.solution),
        ("Who can fix it", reason.who),
        ("What to do", reason.action),
        ("Read on", reason.link),
    )
    return [
        f"  {f'{reason.label} {reason.code}'.strip()}: {reason.text}",
        *(f"    {label}: {text}" for label, text in advised if text),
    ]
