"""Notifications in which every outside text is somebody's attack, or merely very long."""

from __future__ import annotations

import msgspec

from tests.contract.notifiers.notifications import NOW, OPENED, notification, subject
from wabawatch.domain.health import Reason, TargetInfo
from wabawatch.domain.notification import Advice, ReasonShown

TEXTS = {
    "a-call-to-everybody": "<!channel> <!here> <@U012> <https://evil.example|click> & &lt;",
    "terminal-sequences": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://evil.example\x1b\\link \x9b2J \x08\x7f",
    "line-breaks": "one\r\nSubject: two\n\n\tthree\u2028four\x0bfive\u2029",
    "turned-around": "\u202egnorw \u2066si\u2069 \u200e\u200f this \u061c مرحبا شركة النقل",
    "only-arabic": "شركة النقل السريع",
    "families-of-emoji": "👨‍👩‍👧‍👦👍🏽🇩🇪❤️" * 5_000,
    "a-hundred-kilobytes": "x" * 100_000,
    "half-characters": "\ud800 half \udfff\ufffe",
    "quotes-and-backslashes": '"\\' * 50_000,
    "what-escaping-makes-longer": "&<>" * 40_000,
    "marks-on-marks": "z" + "\u0301\u0323" * 50_000,
    "invisible": "\u200b\ufeff\u00ad" * 30_000,
    "blanks": " \t\u3000\u00a0" * 20_000,
    "nothing": "",
    "markup-of-every-kind": "*b* _i_ `c` ~s~ [red]x[/red] **y** </b><script>alert(1)</script> %s {0} {title} :smile:",
    "euro-and-brackets": "€[]{}^~|\\" * 200,
}


def hostile(text, kind="opened", reasons=3, affected=3, subjects=1):
    """A notification of any kind with the text everywhere."""
    advice = Advice(text, text, f"https://example.com/{text}")
    reason = ReasonShown(Reason(141006, text, text, detail=text), advice)
    named = tuple(TargetInfo(text or "id", text, {text: text, "label": text}, text) for _ in range(affected))
    one = subject(
        incident_id=text,
        entity_type=text,
        entity_id=text,
        capability=f"can_{text}",
        old=text,
        new=text,
        reasons=(reason,) * reasons + (ReasonShown(Reason(None, text), Advice()),),
        reasons_gone=(Reason(None, text),) * reasons,
        affected=named,
        affected_total=affected,
        acknowledged_by=text,
        history=((OPENED, text),) * 10,
        resolved_at=NOW if kind in {"resolved", "brief"} else None,
    )
    return notification(kind, *[one] * subjects, deployment=text, destination=text, id=text)


def enormous(kind="opened"):
    """The biggest message there can be: long texts, 10,000 numbers, 200 reasons; in a digest, 500 of those."""
    long = "A description that goes on & on <!channel> 🇩🇪. " * 2_000
    one = hostile(long, "opened", reasons=200, affected=10_000)
    return msgspec.structs.replace(one, kind=kind, subjects=one.subjects * (500 if kind == "digest" else 1), total=500)
