"""The configuration: the settings as values, and the schema of the file that they are read from.

A class `…Fields` describes a mapping of the file; `build` makes the value of it from the fields that are written. The
JSON Schema for editors is made of the same classes."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wabawatch.application.credentials import PATTERN as REFERENCE
from wabawatch.application.ports import Target
from wabawatch.config import scalars
from wabawatch.config.destinations import Destination, read_destination
from wabawatch.config.walker import FieldError, Fields, closest, described
from wabawatch.domain.health import AVAILABLE, BLOCKED, CAUSES, LIMITED, READABLE, TARGET, UNKNOWN
from wabawatch.domain.heartbeat import MAX_DELIVERY_AGE, MIN_COVERAGE
from wabawatch.domain.incident import DESTINATION, MONITOR
from wabawatch.domain.notification import Advice
from wabawatch.domain.policy import WEEKDAYS, Flapping, MassFailure, Policy, Retry, Thresholds, Weekly
from wabawatch.domain.routing import Route, SeverityRule, Window
from wabawatch.domain.silence import Matcher
from wabawatch.messages.runbook import OUR_CAUSES

BASE_URL: Final = "https://waba-v2.360dialog.io"
DEPLOYMENT: Final = "wabawatch"
STATUSES: Final = (AVAILABLE, LIMITED, BLOCKED, UNKNOWN)
ENTITY_TYPES: Final = (
    "PHONE_NUMBER", "WABA", "BUSINESS", "APP", "MESSAGE_TEMPLATE", "FLOW", TARGET, MONITOR, DESTINATION,
)  # fmt: skip
_CODE: Final = re.compile("[0-9]{1,9}")
_SPAN: Final = r"^(?:mon|tue|wed|thu|fri|sat|sun)(?:-(?:mon|tue|wed|thu|fri|sat|sun))?$"


def _read_watched(value: object) -> str:
    return READABLE if value == READABLE else scalars.read_capability(value)


def _read_cause(value: object) -> int | str:
    """Read a reason code, or the word for a cause."""
    name, known = str(value), (*CAUSES, *OUR_CAUSES)
    if re.fullmatch("[0-9]{10,}", name):
        raise FieldError("not a code; a code has at most nine digits")
    if _CODE.fullmatch(name):
        return int(name)
    if name not in known:
        advice = closest(name, known) or "a code such as 141006, or a cause"
        raise FieldError(f"neither a code nor a cause; write {advice}")
    return name


Text = Annotated[str, described(scalars.read_text)]
Line = Annotated[str, described(scalars.read_line, scalars.LINE)]
Name = Annotated[str, described(scalars.read_line, scalars.LINE, "nightly import")]
LabelName = Annotated[str, described(scalars.read_label_name, scalars.LINE)]
Labels = dict[LabelName, Line]
Identifier = Annotated[str, described(scalars.read_identifier, scalars.ID)]
TargetId = Annotated[str, described(scalars.read_identifier, scalars.ID, "support-de")]
ApiKey = Annotated[str, described(scalars.read_reference, REFERENCE, "env:D360_API_KEY")]
HeartbeatUrl = Annotated[str, described(scalars.read_reference_or_url, rf"{REFERENCE}|^https?://", "env:HEARTBEAT_URL")]
Url = Annotated[str, described(scalars.read_url, "^https?://[^?#]+$")]
Link = Annotated[str, described(scalars.read_link, "^https?://")]
Capability = Annotated[str, described(scalars.read_capability, scalars.CAPABILITY)]
Watched = Annotated[str, described(_read_watched, rf"{scalars.CAPABILITY}|^{READABLE}$")]
Status = Annotated[str, described(scalars.read_word_like(STATUSES), "^[A-Z][A-Z0-9_]{0,63}$", *STATUSES)]
EntityType = Annotated[str, described(scalars.read_word_like(ENTITY_TYPES), "^[A-Z][A-Z0-9_]{0,63}$", *ENTITY_TYPES)]
Severity = Annotated[Literal["critical", "error", "warning", "info"], Meta(examples=["warning"])]
Duration = Annotated[timedelta, described(scalars.read_duration, scalars.DURATION)]
PositiveDuration = Annotated[timedelta, described(scalars.read_positive_duration, scalars.DURATION)]
Clock = Annotated[time, described(scalars.read_clock, scalars.CLOCK)]
Start = Annotated[time, described(scalars.read_clock, scalars.CLOCK, '"09:00"')]
End = Annotated[time, described(scalars.read_clock, scalars.CLOCK, '"17:00"')]
Zone = Annotated[str, described(scalars.read_zone, None, "Europe/Berlin")]
Days = Annotated[str, described(scalars.read_days, _SPAN)]
Share = Annotated[float, Meta(ge=0, le=1, extra={"read": scalars.read_share})]
PositiveShare = Annotated[float, Meta(gt=0, le=1, extra={"read": scalars.read_positive_share})]
Rate = Annotated[float, Meta(gt=0, le=1_000_000, extra={"read": scalars.read_rate})]
Count = Annotated[int, Meta(ge=1, le=1000)]
ReasonCode = Annotated[int, Meta(ge=0, le=10**9)]
Cause = Annotated[str, described(_read_cause)]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How targets are read. `timeout` is the whole time of one probe; `requests_per_second` None: no limit."""

    base_url: Url = BASE_URL
    timeout: PositiveDuration = timedelta(seconds=10)
    concurrency: Annotated[int, Meta(ge=1, le=10_000)] = 64
    requests_per_second: Rate | None = None


class Heartbeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An external watchdog: `url` (https, or a reference to a secret) is called when a run begins (/start), on success
    after one in which at least `min_coverage` (0 to 1) of the targets were read while no notification waits longer than
    `max_delivery_age`, and on failure (/fail) after any other."""

    url: HeartbeatUrl
    min_coverage: Share = MIN_COVERAGE
    max_delivery_age: PositiveDuration = MAX_DELIVERY_AGE


class TargetFields(Fields):
    """One number: an id that never changes, a name for people, where its API key is stored, labels for routes."""

    id: TargetId
    api_key: ApiKey
    name: Line | None = None
    labels: Labels | UnsetType = UNSET
    base_url: Url | None = None

    @classmethod
    def build(cls, given: dict[str, Any]) -> Target:
        return Target(**{**given, "name": given.get("name") or given["id"]})


class MatchFields(Fields):
    """Which incidents a rule is about. Every field that is written must match; a list matches any of its words."""

    value_type = Matcher

    status: Status | Annotated[tuple[Status, ...], Meta(min_length=1)] | UnsetType = UNSET
    severity: Severity | Annotated[tuple[Severity, ...], Meta(min_length=1)] | UnsetType = UNSET
    entity_type: EntityType | Annotated[tuple[EntityType, ...], Meta(min_length=1)] | UnsetType = UNSET
    entity: Line | Annotated[tuple[Line, ...], Meta(min_length=1)] | UnsetType = UNSET
    capability: Watched | Annotated[tuple[Watched, ...], Meta(min_length=1)] | UnsetType = UNSET
    target: Identifier | Annotated[tuple[Identifier, ...], Meta(min_length=1)] | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    reason_code: ReasonCode | Annotated[tuple[ReasonCode, ...], Meta(min_length=1)] | UnsetType = UNSET
    affected_at_least: Annotated[int, Meta(ge=0, le=10**6)] | UnsetType = UNSET


class WeeklyFields(Fields, kw_only=True):
    """Some days of the week, from a local time to another; an end that is not later is on the next day."""

    days: Days | Annotated[tuple[Days, ...], Meta(min_length=1)] | UnsetType = UNSET
    start: Start = msgspec.field(name="from")
    end: End = msgspec.field(name="to")
    timezone: Zone

    @classmethod
    def build(cls, given: dict[str, Any]) -> Any:  # noqa: ANN401 - WindowFields builds a Window
        return Weekly(_in_order(given.get("days", ())), given["start"], given["end"], given["timezone"])


class WindowFields(WeeklyFields, kw_only=True):
    """A maintenance window, each week."""

    name: Name
    match: MatchFields | UnsetType = UNSET
    reason: Line | UnsetType = UNSET

    @classmethod
    def build(cls, given: dict[str, Any]) -> Window:
        own = {name: given[name] for name in ("name", "match", "reason") if name in given}
        return Window(when=super().build(given), **own)


class DigestFields(Fields):
    """When the weekly digest of old problems is sent."""

    day: Days | Annotated[tuple[Days, ...], Meta(min_length=1)] | UnsetType = UNSET
    time: Clock | UnsetType = UNSET
    timezone: Zone | UnsetType = UNSET

    @classmethod
    def build(cls, given: dict[str, Any]) -> Weekly:
        at = given.get("time", MONDAY_MORNING.start)
        days = _in_order(given["day"]) if "day" in given else MONDAY_MORNING.days
        return Weekly(days, at, at, given.get("timezone", MONDAY_MORNING.timezone))


class RouteFields(Fields):
    """Which incidents are sent to which destinations."""

    value_type = Route

    to: Annotated[
        Identifier
        | Annotated[
            tuple[Identifier, ...],
            Meta(
                min_length=1,
                extra={"empty": "no destination; write at least one destination, or a window or silence to mute"},
            ),
        ],
        Meta(examples=["[ops]"]),
    ]
    match: MatchFields | UnsetType = UNSET
    stop: bool | UnsetType = UNSET
    hours: WeeklyFields | None = None

    @classmethod
    def build(cls, given: dict[str, Any]) -> Route:
        return Route(**{**given, "to": tuple(dict.fromkeys(given["to"]))})


class SeverityFields(Fields):
    """The severity of some incidents; the first rule that matches counts."""

    value_type = SeverityRule

    severity: Severity
    match: MatchFields | UnsetType = UNSET


class ThresholdsFields(Fields):
    """How many observations in a row confirm a status."""

    value_type = Thresholds

    blocked: Count | UnsetType = UNSET
    limited: Count | UnsetType = UNSET
    available: Count | UnsetType = UNSET
    unknown: Count | UnsetType = UNSET


class RemindersFields(Fields):
    """After how long an incident is sent again; the last one repeats. An empty list: no reminders."""

    blocked: PositiveDuration | tuple[PositiveDuration, ...] | UnsetType = UNSET
    limited: PositiveDuration | tuple[PositiveDuration, ...] | UnsetType = UNSET
    unknown: PositiveDuration | tuple[PositiveDuration, ...] | UnsetType = UNSET

    @classmethod
    def build(cls, given: dict[str, Any]) -> dict[str, tuple[timedelta, ...]]:
        return {**Policy().reminders, **given}


class RetryFields(Fields):
    """Retries of failed deliveries: the wait doubles from `first` to `most`."""

    first: PositiveDuration | UnsetType = UNSET
    most: PositiveDuration | UnsetType = UNSET
    give_up_after: PositiveDuration | UnsetType = UNSET

    @classmethod
    def build(cls, given: dict[str, Any]) -> Retry:
        retry = Retry(**given)
        if retry.first > retry.most:
            raise FieldError("longer than `most`; write the shorter wait here", "first")
        return retry


class FlappingFields(Fields):
    """From how many changes within `window` an incident flaps, and at how few it stops to."""

    high: Annotated[int, Meta(ge=2, le=1000)] | UnsetType = UNSET
    low: Annotated[int, Meta(ge=0, le=1000)] | UnsetType = UNSET
    window: PositiveDuration | UnsetType = UNSET

    @classmethod
    def build(cls, given: dict[str, Any]) -> Flapping:
        flapping = Flapping(**given)
        if flapping.low >= flapping.high:
            raise FieldError("not below `high`; write a smaller number here", "low")
        return flapping


class BlindFields(Fields):
    """How many targets must be unreadable at once for the rest to freeze."""

    value_type = MassFailure

    share: PositiveShare | UnsetType = UNSET
    at_least: Count | UnsetType = UNSET


class PolicyFields(Fields):
    """When a status is confirmed, when people are notified, how deliveries are retried."""

    value_type = Policy

    capabilities: Capability | Annotated[tuple[Capability, ...], Meta(min_length=1)] | UnsetType = UNSET
    thresholds: ThresholdsFields | UnsetType = UNSET
    group_wait: Duration | UnsetType = UNSET
    group_interval: Duration | UnsetType = UNSET
    reasons_interval: Duration | UnsetType = UNSET
    reminders: RemindersFields | UnsetType = UNSET
    retry: RetryFields | UnsetType = UNSET
    flapping: FlappingFields | UnsetType = UNSET
    mass_failure: BlindFields | UnsetType = UNSET
    digest_over: Count | UnsetType = UNSET


class AdviceFields(Fields):
    """Our own advice on a reason code or cause; a field left out is the package's."""

    value_type = Advice

    who: Line | UnsetType = UNSET
    action: Text | UnsetType = UNSET
    link: Link | UnsetType = UNSET


MONDAY_MORNING: Final = Weekly(("mon",), time(9), time(9), "UTC")
NO_TARGETS: Final = "no target at all; write for example targets: [{id: support-de, api_key: env:D360_API_KEY}]"


class Settings(msgspec.Struct, frozen=True):
    """One whole configuration. `runbook` maps a reason code, or the word for a cause, to our own advice on it.

    No routes at all: every destination gets everything. `digest` None: no weekly digest of old problems.
    `heartbeat` and `history_days` None: as the environment says."""

    targets: tuple[Target, ...]
    destinations: dict[str, Destination]
    source: Source = Source()
    routes: tuple[Route, ...] = ()
    policy: Policy = Policy()
    windows: tuple[Window, ...] = ()
    severities: tuple[SeverityRule, ...] = ()
    runbook: dict[int | str, Advice] = {}
    heartbeat: Heartbeat | None = None
    digest: Weekly | None = MONDAY_MORNING
    deployment: str = DEPLOYMENT
    history_days: int | None = None


class SettingsFields(Fields):
    """The whole file. Only `targets` is needed."""

    value_type = Settings

    targets: Annotated[
        tuple[TargetFields, ...],
        Meta(min_length=1, examples=["[{id: support-de, api_key: env:D360_API_KEY}]"], extra={"empty": NO_TARGETS}),
    ]
    destinations: (
        dict[Identifier, Annotated[dict[str, Any], Meta(extra={"read_below": read_destination})]] | UnsetType
    ) = UNSET
    source: Source | UnsetType = UNSET
    routes: tuple[RouteFields, ...] | UnsetType = UNSET
    policy: PolicyFields | UnsetType = UNSET
    windows: tuple[WindowFields, ...] | UnsetType = UNSET
    severities: tuple[SeverityFields, ...] | UnsetType = UNSET
    runbook: dict[Cause, AdviceFields] | UnsetType = UNSET
    heartbeat: Heartbeat | None = None
    digest: DigestFields | None = None
    deployment: Line | UnsetType = UNSET
    history_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None


def _in_order(spans: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Return the days of some spans, in the order of the week; without any, the whole week."""
    days = {day for span in spans for day in span}
    return tuple(day for day in WEEKDAYS if day in days) or WEEKDAYS
