"""Texts of the command line about targets, incidents and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.text import Text

from wabawatch.cli.output import status_text, words
from wabawatch.cli.target_view import TargetView
from wabawatch.domain.health import AVAILABLE, NOT_ASKED, Failure, Reason
from wabawatch.domain.run import Run
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
"""Texts for the planner's reasons not to send."""


def decided(why: str) -> str:
    """Return the text of a planner's reason; that of a mute contains its name already."""
    return _WHYS.get(why, why)


def moment(at: datetime, now: datetime) -> str:
    """Format a time in UTC: `09:30:05` if it is within a day, otherwise with the date."""
    at = at.astimezone(UTC)
    return f"{at:%H:%M:%S}" if abs(now - at) < _TODAY else f"{at:%Y-%m-%d %H:%M}"


def since_text(since: datetime | None, now: datetime) -> str:
    return "" if since is None else humanize_duration(now - since)


def causes_text(run: Run) -> str:
    """List the causes of failed readings, the most frequent first."""
    return _ranked({cause: count for cause, count in run.causes.items() if cause not in NOT_ASKED})


def skipped_text(run: Run) -> str:
    """Format as `, 40 skipped (key_not_fetched)`, "" if none was; without a cause if the time was over."""
    if not run.skipped:
        return ""
    causes = _ranked({cause: count for cause, count in run.causes.items() if cause in NOT_ASKED})
    return f", {run.skipped} skipped{f' ({causes})' if causes else ''}"


def _ranked(causes: Mapping[str, int]) -> str:
    return ", ".join(sorted(causes, key=lambda cause: (-causes[cause], cause)))


def unread(run: Run) -> str:
    """Format as `, 2 of 12 not read (timeout, unreachable)`, "" if all were read."""
    failed = f", {run.unknown} of {run.expected} not read ({causes_text(run)})" if run.unknown else ""
    return failed + (f", {run.refused} could not be stored" if run.refused else "")


def reason_text(reason: Reason) -> Text:
    """Format a code or cause with its text; without a text use the runbook's."""
    known = cause_of(reason)
    label = known or ("" if reason.code is None else str(reason.code))
    said = meaning(reason) if known else reason.description or meaning(reason)
    return words(f"{label}{': ' if known and said else ' '}{said}".strip())


def why(view: TargetView, *, is_short: bool = False) -> Text:
    """Format the root cause entity and its first reason, or why the target cannot be read; "" for a healthy target.

    `is_short` keeps only the end of long IDs, in which the IDs of a company's entities differ."""
    if view.is_stale:
        return _unread(view)
    if view.unconfirmed is not None and view.entity is None:
        return _missed(view.unconfirmed)
    if view.cause is not None or view.detail:
        return _unread(view)
    if view.entity is not None:
        return _fault(view.entity, view.reasons, is_short=is_short)
    if view.other_problems:
        state = view.other_problems[0]
        entity = named(state.entity_type, state.entity_id, is_short=is_short)
        label = words(f"{entity} {state.capability} ", "dim")
        said = Text("; ") + reason_text(state.reasons[0]) if state.reasons else Text("")
        return label + status_text(state.status or AVAILABLE) + said
    return Text("")


def _missed(failure: Failure) -> Text:
    return words(f"{failure.cause}: {failure.detail or meaning(Reason(description=failure.cause))}") + words(
        "; not confirmed yet", "dim"
    )


def _unread(view: TargetView) -> Text:
    cause = view.unconfirmed.cause if view.unconfirmed else view.cause
    text = words(": ".join(part for part in (cause, view.detail) if part))
    return text + words(f"; was {view.last_known}", "dim") if view.last_known else text


def named(kind: str, name: str, *, is_short: bool = True) -> str:
    """Format an entity as `WABA …3072`, or with its whole ID."""
    return f"{kind} …{name[-_ID_END:]}" if is_short and len(name) > _ID_LONG else f"{kind} {name}"


def _fault(entity: tuple[str, str], reasons: tuple[Reason, ...], *, is_short: bool) -> Text:
    said = words(named(*entity, is_short=is_short), "dim")
    if reasons:
        said = said + Text("  ") + reason_text(reasons[0])
    return said + Text(f" +{len(reasons) - 1} more", "dim") if len(reasons) > 1 else said


def matcher_text(match: Matcher) -> str:
    """Format as `target support-de, status BLOCKED or LIMITED`; `everything` for a matcher without conditions."""
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
    """Format as `141006 the text`, from fields of a JSON document."""
    return reason_text(Reason(code, description)).plain
