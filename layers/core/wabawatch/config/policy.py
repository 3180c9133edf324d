"""The policy: when a status is confirmed, when people are told, how deliveries are tried again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec

from wabawatch.config.scalars import capability, duration, positive, share, whole, words
from wabawatch.config.section import Section, WrongError
from wabawatch.domain.policy import Flapping, MassFailure, Policy, Retry, Thresholds

S = TypeVar("S", bound=msgspec.Struct)

_OFTEN: Final = whole(1, 1000)


def policy(section: Section) -> Policy:
    """The policy, with the usual value for what is not given."""
    usual = Policy()
    return Policy(
        section.take("capabilities", words(capability), usual.capabilities),
        section.inner("thresholds", lambda inner: _filled(inner, Thresholds, _OFTEN), usual.thresholds),
        section.take("group_wait", duration, usual.group_wait),
        section.take("group_interval", duration, usual.group_interval),
        section.take("reasons_interval", duration, usual.reasons_interval),
        section.inner("reminders", _reminders, usual.reminders),
        section.inner("retry", _retry, usual.retry),
        section.inner("flapping", _flapping, usual.flapping),
        section.inner("mass_failure", _blind, usual.mass_failure),
        section.take("digest_over", _OFTEN, usual.digest_over),
    )


def _filled(section: Section, kind: type[S], reader: Callable[[Any], Any]) -> S:
    """A struct whose fields are all of one sort."""
    usual = msgspec.structs.asdict(kind())
    return kind(**{name: section.take(name, reader, value) for name, value in usual.items()})


def _reminders(section: Section) -> dict[str, tuple[timedelta, ...]]:
    """A status that is not named keeps its usual reminders; an empty list stops them."""
    return {status: section.take(status, _waits, usual) for status, usual in Policy().reminders.items()}


def _waits(value: object) -> tuple[timedelta, ...]:
    return () if value == [] else words(positive)(value)


def _retry(section: Section) -> Retry:
    found = _filled(section, Retry, positive)
    if found.first > found.most:
        section.wrong("longer than `most`; write the shorter wait here", "first")
    return found


def _flapping(section: Section) -> Flapping:
    usual = Flapping()
    found = Flapping(
        section.take("high", whole(2, 1000), usual.high),
        section.take("low", whole(0, 1000), usual.low),
        section.take("window", positive, usual.window),
    )
    if found.low >= found.high:
        section.wrong("not below `high`; write a smaller number here", "low")
    return found


def _blind(section: Section) -> MassFailure:
    usual = MassFailure()
    return MassFailure(
        section.take("share", _some_share, usual.share), section.take("at_least", _OFTEN, usual.at_least)
    )


def _some_share(value: object) -> float:
    if not (found := share(value)):
        raise WrongError("0 would make every failed reading blindness; write a number above 0, such as 0.5")
    return found
