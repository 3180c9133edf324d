"""Count the subscribers of topics once a day: SNS takes a message for a topic that nobody has subscribed to, too.

A delivery says nothing about it, and a subscription ends by itself: one that is not confirmed is deleted after two
days, and each mail carries a link that ends it, which some mail scanners follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from wabawatch.application.ports import Clock, Store, Topic
from wabawatch.domain.health import Reason
from wabawatch.domain.incident import Key
from wabawatch.errors import DeliveryError, DeliveryErrorKind, describe_place

logger = logging.getLogger(__name__)

_DOCUMENT: Final = "subscriptions"
_EVERY: Final = timedelta(days=1)
_SOON: Final = timedelta(hours=1)
"""After the first round, in which nobody can have confirmed yet; and while somebody is expected to subscribe."""
_PATIENCE: Final = timedelta(seconds=10)
"""After which no further topic is asked about: alerts wait for it."""

Topics = Mapping[Key, Sequence[Topic]]
"""The topics by the key of the incident that says that they reach nobody."""


class CheckedTopics(msgspec.Struct, frozen=True):
    """When the subscribers are counted next, and the topics that had none, each with what was found."""

    next_at: datetime
    unheard: dict[str, str] = {}


class SubscriptionCheck:
    """The check of one round. Whatever a topic answers, it stops nothing."""

    def __init__(self, store: Store, topics: Topics, clock: Clock) -> None:
        self._store = store
        self._topics = topics
        self._clock = clock
        self._begun_at = clock.now()
        self._is_cut = False

    def run(self, report: Callable[[Key, Reason | None], None], renew_lease: Callable[[], None]) -> int:
        """Count where it is due and report what is found; return how many topics are known to reach nobody.

        `renew_lease` is called before each request. The check is repeated after a crash, because it is written down
        last."""
        now = self._begun_at = self._clock.now()
        body = self._store.document(_DOCUMENT)
        known = msgspec.json.decode(body, type=CheckedTopics) if body else None
        if known is None:
            if not any(self._topics.values()):
                return 0
            known = CheckedTopics(now + _SOON)
            self._save(known)
        if not now < known.next_at <= now + _EVERY:
            known = self._check(known.unheard, report, renew_lease)
            self._save(known)
        names = {topic.topic_arn for topics in self._topics.values() for topic in topics}
        return len(names & known.unheard.keys())

    def _save(self, checked: CheckedTopics) -> None:
        self._store.save_document(_DOCUMENT, msgspec.json.encode(checked))

    def _check(
        self, before: Mapping[str, str], report: Callable[[Key, Reason | None], None], renew_lease: Callable[[], None]
    ) -> CheckedTopics:
        unheard: dict[str, str] = {}
        for key, topics in self._topics.items():
            found = {topic.topic_arn: self._find_fault(topic, before, renew_lease) for topic in topics}
            faults = {arn: fault for arn, fault in found.items() if fault}
            report(key, Reason(description="unheard", detail="; ".join(faults.values())) if faults else None)
            unheard |= faults
        is_soon = self._is_cut or bool(unheard)
        return CheckedTopics(self._begun_at + (_SOON if is_soon else _EVERY), unheard)

    def _find_fault(self, topic: Topic, before: Mapping[str, str], renew_lease: Callable[[], None]) -> str:
        """What is wrong with a topic; what was wrong with it before, where that cannot be found out now."""
        known = before.get(topic.topic_arn, "")
        if self._is_cut or self._clock.now() - self._begun_at > _PATIENCE:
            self._is_cut = True
            return known
        renew_lease()
        try:
            counts = topic.count_subscriptions()
        except DeliveryError as error:
            logger.warning("the subscriptions of %s cannot be counted: %s", topic.topic_arn, error)
            self._is_cut = error.kind is DeliveryErrorKind.PASSING
            return known
        except Exception as error:  # noqa: BLE001 - the border around one topic
            logger.error("the subscriptions of %s cannot be counted: %s", topic.topic_arn, describe_place(error))  # noqa: TRY400
            return known
        is_wanted = not topic.may_be_empty or counts.pending or counts.deleted or known
        if counts.confirmed or not is_wanted:
            return ""
        name = topic.topic_arn.rpartition(":")[2]
        waiting = f", {counts.pending} not confirmed" if counts.pending else ""
        return f"topic {name} has no subscriber{waiting}"
