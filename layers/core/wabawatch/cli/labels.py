"""How the command line words what it shows of targets, incidents and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.text import Text

from wabawatch.cli.output import status_text, words
from wabawatch.cli.target_view import TargetView
from wabawatch.domain.health import AVAILABLE, NOT_ASKED, Failure, Reason
from wabawatch.domain.sharding import Run
from wabawatch.domain.silence import Matcher
from wabawatch.messages.runbook import cause_of, meaning
from wabawatch.messages.text import humanize_duration

_TODAY: Final = timedelta(hours=20)
_ID_LONG: Final = 8
_ID_END: Final = 4
_WHYS: Final[Mapping[str, str]] = {
    "up_to_date": "up to date",
    "not_routed": "no route matches",
    "about_itself": "the incident is about this destination",
    "group_wait": "waiting to group related changes (group_wait)",
    "group_interval": "waiting to send the new number of targets (group_interval)",
    "extent_quiet": "small or repeated changes of the number of targets are sent with the next reminder",
    "reasons_interval": "waiting to send the new reasons (group_interval)",
    "reasons_quiet": "new reasons are sent only while the status is BLOCKED",
    "muted_throughout": "muted from start to end",
    "joined_later": "resolved before this destination was configured",
    "working_hours": "waiting for working hours",
    "flapping": "flapping; no updates until it is stable",
    "mass_failure": "most numbers cannot be checked, which is sent instead",
    "acknowledged": "acknowledged: no reminders",
    "retry_wait": "a delivery failed and will be retried",
    "no_more_reminders": "up to date; no reminders for this status",
}
"""The planner's words for saying nothing, in sentences."""


def decided(why: str) -> str:
    """The planner's reason for a person. A mute's goes on with its name."""
    return _WHYS.get(why, why)


def moment(at: datetime, now: datetime) -> str:
    """`09:30:05` for what is near, with its date otherwise; UTC."""
    at = at.astimezone(UTC)
    return f"{at:%H:%M:%S}" if abs(now - at) < _TODAY else f"{at:%Y-%m-%d %H:%M}"


def since_text(since: datetime | None, now: datetime) -> str:
    return "" if since is None else humanize_duration(now - since)


def causes_text(run: Run) -> str:
    """Why targets could not be read, the most frequent cause first."""
    return _ranked({cause: count for cause, count in run.causes.items() if cause not in NOT_ASKED})


def skipped_text(run: Run) -> str:
    """`, 40 skipped (key_not_fetched)`; nothing where none was. The cause is there where it is not the time."""
    if not run.skipped:
        return ""
    causes = _ranked({cause: count for cause, count in run.causes.items() if cause in NOT_ASKED})
    return f", {run.skipped} skipped{f' ({causes})' if causes else ''}"


def _ranked(causes: Mapping[str, int]) -> str:
    return ", ".join(sorted(causes, key=lambda cause: (-causes[cause], cause)))


def unread(run: Run) -> str:
    """`, 2 of 12 not read (timeout, unreachable)`; nothing where all were."""
    failed = f", {run.unknown} of {run.expected} not read ({causes_text(run)})" if run.unknown else ""
    return failed + (f", {run.refused} could not be stored" if run.refused else "")


def reason_text(reason: Reason) -> Text:
    """A code, or the word for a cause, and the text; where none came along, the runbook's."""
    known = cause_of(reason)
    label = known or ("" if reason.code is None else str(reason.code))
    said = meaning(reason) if known else reason.description or meaning(reason)
    return words(f"{label}{': ' if known and said else ' '}{said}".strip())


def why(one: TargetView, *, is_short: bool = False) -> Text:
    """The entity at fault and its first reason, or why the target cannot be read; nothing for a healthy target.

    `is_short` leaves of long ids only their end: there the ids of a company's entities differ."""
    if one.is_stale:
        return _unread(one)
    if one.unconfirmed is not None and one.entity is None:
        return _missed(one.unconfirmed)
    if one.cause is not None or one.detail:
        return _unread(one)
    if one.entity is not None:
        return _fault(one.entity, one.reasons, is_short=is_short)
    if one.other_problems:
        state = one.other_problems[0]
        entity = named(state.entity_type, state.entity_id, is_short=is_short)
        label = words(f"{entity} {state.capability} ", "dim")
        said = Text("; ") + reason_text(state.reasons[0]) if state.reasons else Text("")
        return label + status_text(state.status or AVAILABLE) + said
    return Text("")


def _missed(one: Failure) -> Text:
    return words(f"{one.cause}: {one.detail or meaning(Reason(description=one.cause))}") + words(
        "; not confirmed yet", "dim"
    )


def _unread(one: TargetView) -> Text:
    cause = one.unconfirmed.cause if one.unconfirmed else one.cause
    said = words(": ".join(part for part in (cause, one.detail) if part))
    return said + words(f"; was {one.last_known}", "dim") if one.last_known else said


def named(kind: str, name: str, *, is_short: bool = True) -> str:
    """As in `WABA …3072`, or with the whole id."""
    return f"{kind} …{name[-_ID_END:]}" if is_short and len(name) > _ID_LONG else f"{kind} {name}"


def _fault(entity: tuple[str, str], reasons: tuple[Reason, ...], *, is_short: bool) -> Text:
    said = words(named(*entity, is_short=is_short), "dim")
    if reasons:
        said = said + Text("  ") + reason_text(reasons[0])
    return said + Text(f" +{len(reasons) - 1} more", "dim") if len(reasons) > 1 else said


def matcher_text(match: Matcher) -> str:
    """`target support-de, status BLOCKED or LIMITED`; `everything` for a matcher without conditions."""
    lists = {
        "target": match.target,
        "entity": match.entity,
        "type": match.entity_type,
        "status": match.status,
        "severity": match.severity,
        "capability": match.capability,
        "reason": tuple(str(code) for code in match.reason_code),
        "label": tuple(f"{key}={value}" for key, value in match.labels.items()),
    }
    parts = [f"{name} {(' and ' if name == 'label' else ' or ').join(said)}" for name, said in lists.items() if said]
    if match.affected_at_least:
        parts.append(f"at least {match.affected_at_least} affected")
    return ", ".join(parts) or "everything"


def codes_text(code: int | None, description: str) -> str:
    """`141006 the text`, from a document's fields."""
    return reason_text(Reason(code, description)).plain
