"""Checks of messages: who is subscribed, what filter policies let through, and tests from end to end."""

from __future__ import annotations

import re
import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from wabawatch.adapters.notifiers import registry
from wabawatch.adapters.notifiers.sns import Options
from wabawatch.cli.verify_aws.account import Account, MissingRightError, missing_right
from wabawatch.cli.verify_aws.check import Pause, Step, finding, proven, unchecked
from wabawatch.cli.verify_aws.deployment import stack_alarms, sums
from wabawatch.cli.verify_aws.functions import ask_function
from wabawatch.cli.verify_aws.temporary import TemporaryQueue, temporary_queue, temporary_topic
from wabawatch.domain.rehearsal import rehearsal
from wabawatch.errors import DeliveryError
from wabawatch.messages.text import pluralize

ALARM_REASON: Final = "A test by `wabawatch doctor --verify-aws`: nothing is wrong"
_ATTRIBUTES: Final = "MessageAttributes"
_BODY: Final = "MessageBody"
_FIELD: Final = {_ATTRIBUTES: "event", _BODY: "kind"}
"""What says of a notification what it is, by the scope of a filter policy."""
_EFFECTIVE_WITHIN: Final = 16 * 60.0
"""Seconds. Source: https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html (15 minutes)"""
_BETWEEN_ROUNDS: Final = 45.0
_ROUND: Final = 60.0
_SETTLED: Final = 15.0
"""Seconds after a message came to everybody else for which one that should not come is waited for."""
_SUBSCRIBED: Final = 10.0
_ARRIVES_WITHIN: Final = 300.0
_LOOK_EVERY: Final = 5.0
_COUNTED_AFTER: Final = 240.0
"""Seconds after which CloudWatch shows SNS's counts."""


# --- subscriptions


def subscriptions(account: Account) -> Iterator[Step]:
    """Somebody hears each topic, everybody confirmed, and nobody else can unsubscribe them."""
    for name, arn in account.topics.items():
        attributes = account.call("sns", "get_topic_attributes", TopicArn=arn)["Attributes"]
        found = account.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)
        confirmed = [one for one in found if one["SubscriptionArn"].startswith("arn:")]
        pending = [f"{one['Protocol']} {one['Endpoint']}" for one in found if _is_pending(one)]
        if not confirmed:
            yield finding(f"{name}: nobody hears this topic", "subscribe somebody, and confirm the subscription")
        for one in pending:
            todo = "confirm it with the link in AWS's first message: AWS deletes it after two days"
            yield finding(f"{name}: {one} is not confirmed", todo)
        if deleted := int(attributes.get("SubscriptionsDeleted", 0)):
            said = f"{name}: {pluralize(deleted, 'subscription')} deleted lately"
            yield finding(said, "ask whether that was meant; subscribe and confirm again")
        open_ones = [one["Endpoint"] for one in confirmed if one["Protocol"] == "email" and _is_open(account, one)]
        for endpoint in open_ones:
            todo = "confirm again with aws sns confirm-subscription --authenticate-on-unsubscribe true"
            yield finding(f"{name}: whoever gets a mail of {endpoint} can unsubscribe it", todo)
        if confirmed and not pending and not deleted and not open_ones:
            yield proven(f"{name}: {pluralize(len(confirmed), 'subscription')}, all confirmed")


def _is_pending(subscription: Mapping[str, str]) -> bool:
    return subscription["SubscriptionArn"] == "PendingConfirmation"


def _is_open(account: Account, subscription: Mapping[str, str]) -> bool:
    """Whether the link in each mail, which mail scanners follow, unsubscribes without asking who it is."""
    asked = {"SubscriptionArn": subscription["SubscriptionArn"]}
    found = account.call("sns", "get_subscription_attributes", **asked)["Attributes"]
    return bool(found.get("ConfirmationWasAuthenticated") != "true")


# --- filter policies


class _Case(msgspec.Struct, frozen=True):
    """A format of the notifier and a scope of filter policies. `is_promised`: subscribers may rely on it."""

    format: str
    scope: str
    is_promised: bool


_CASES: Final = (
    _Case("document", _ATTRIBUTES, is_promised=True),
    _Case("document", _BODY, is_promised=True),
    _Case("protocols", _BODY, is_promised=True),
    _Case("protocols", _ATTRIBUTES, is_promised=False),
)
_FORMATS: Final = sorted({case.format for case in _CASES})


class _Queues(msgspec.Struct, frozen=True):
    """`everything` has no filter; a pair for each scope: what the policy accepts arrives in the first alone."""

    everything: TemporaryQueue
    pairs: Mapping[str, tuple[TemporaryQueue, TemporaryQueue]]

    @property
    def all(self) -> list[TemporaryQueue]:
        return [self.everything, *(queue for pair in self.pairs.values() for queue in pair)]


def filter_policies(account: Account) -> Iterator[Step]:
    """Subscribe queues with filter policies to a temporary topic, and publish what the product publishes until the
    policies have their effect."""
    with ExitStack() as cleanup:
        topic = cleanup.enter_context(temporary_topic(account, "filter"))
        queues = _subscribe(account, topic, cleanup)
        yield Pause(_SUBSCRIBED)
        end = account.timer.now() + _EFFECTIVE_WITHIN
        while True:
            arrived = yield from _round(account, topic, queues)
            holding = {case for case in _CASES if _holds(case, queues, arrived)}
            if all(case in holding for case in _CASES if case.is_promised) or account.timer.now() >= end:
                break
            yield Pause(_BETWEEN_ROUNDS)
    for case in _CASES:
        yield _verdict(case, holds=case in holding)


def _subscribe(account: Account, topic: str, cleanup: ExitStack) -> _Queues:
    def queue(purpose: str, attributes: Mapping[str, str]) -> TemporaryQueue:
        return cleanup.enter_context(temporary_queue(account, purpose, topic, attributes))

    def filtered(purpose: str, scope: str, kind: str) -> TemporaryQueue:
        policy = msgspec.json.encode({_FIELD[scope]: [kind]}).decode()
        return queue(purpose, {"FilterPolicy": policy, "FilterPolicyScope": scope})

    pairs = {
        scope: (filtered("match", scope, "test"), filtered("other", scope, "opened")) for scope in (_ATTRIBUTES, _BODY)
    }
    return _Queues(queue("all", {}), pairs)


_Arrived = dict[str, set[str]]
"""By queue: the formats whose message arrived there."""


def _round(account: Account, topic: str, queues: _Queues) -> Generator[Pause, None, _Arrived]:
    """Publish once in each format; what arrived where. Waits until the queue without a filter has them all, and then
    for what may come late."""
    sent = {_publish(account, topic, name): name for name in _FORMATS}
    arrived: _Arrived = {queue.url: set() for queue in queues.all}
    end = account.timer.now() + _ROUND
    while account.timer.now() < end:
        yield Pause(_LOOK_EVERY)
        was_whole = len(arrived[queues.everything.url]) == len(sent)
        for queue in queues.all:
            ids = {document.get("notification_id") for document in queue.receive(account)}
            arrived[queue.url] |= {name for notification, name in sent.items() if notification in ids}
        if len(arrived[queues.everything.url]) == len(sent) and not was_whole:
            end = min(end, account.timer.now() + _SETTLED)
    return arrived


def _publish(account: Account, topic: str, name: str) -> str:
    """Publish as a destination of the configuration would; the notification's id."""
    audience = account.application.audience
    number = f"test-{secrets.token_hex(6)}"
    world = registry.NotifyContext(account.application.secrets.key, lambda service, _region: account.client(service))
    options = msgspec.convert({"topic_arn": topic, "format": name}, Options)
    now = account.application.clock.now()
    try:
        registry.build("verify", "sns", options, world).deliver(
            rehearsal("verify", audience.deployment, now, number, audience.advise), {}
        )
    except DeliveryError as error:
        if (action := missing_right(error.__cause__, "sns")) is not None:
            raise MissingRightError(action) from error
        raise
    return number


def _holds(case: _Case, queues: _Queues, arrived: _Arrived) -> bool:
    matching, other = queues.pairs[case.scope]
    return case.format in arrived[matching.url] and case.format not in arrived[other.url]


def _verdict(case: _Case, *, holds: bool) -> Step:
    what = f"format {case.format}, FilterPolicyScope {case.scope}"
    if holds:
        return proven(f"{what}: a subscriber gets what its filter policy accepts, and nothing else")
    if case.is_promised:
        return finding(
            f"{what}: a subscriber does not get what its filter policy accepts", "subscribe without a filter"
        )
    return proven(f"{what}: filter policies do not work, as the documents say")


# --- from end to end


def deliver_test_alert(account: Account) -> Iterator[Step]:
    """The notify function sends a marked test under its own role; it must arrive at a queue beside the people."""
    own = account.alarm_topics
    topics = {name: arn for name, arn in account.topics.items() if name not in own and not arn.endswith(".fifo")}
    began = account.application.clock.now()
    with ExitStack() as cleanup:
        waiting = {name: cleanup.enter_context(temporary_queue(account, "alert", arn)) for name, arn in topics.items()}
        yield Pause(_SUBSCRIBED)
        answer = ask_function(account, "notify", deliver=True)
        if not isinstance(answer, Mapping):
            yield answer
            return
        failed = {one["name"]: one["error"] for one in answer["delivered"] if one.get("error")}
        for name, error in failed.items():
            yield finding(f"{name} did not take the test from the notify function: {error}", "repair the destination")
        taken = [one["name"] for one in answer["delivered"] if one["name"] not in failed]
        waiting = {name: queue for name, queue in waiting.items() if name in taken}
        end = account.timer.now() + _ARRIVES_WITHIN
        while waiting and account.timer.now() < end:
            for name, queue in list(waiting.items()):
                if any(document.get("test", True) for document in queue.receive(account)):
                    del waiting[name]
            if waiting:
                yield Pause(_LOOK_EVERY)
    for name in taken:
        yield _arrival(account, name, arrived=name not in waiting)
    yield from _undelivered(account, topics, began)


def _arrival(account: Account, name: str, *, arrived: bool) -> Step:
    arn = account.topics.get(name)
    if arn is None:
        return proven(f"{name} took the test from the notify function")
    if arn.endswith(".fifo"):
        return unchecked(f"{name} took the test; a FIFO topic's subscribers are not looked at")
    if not arrived:
        return finding(f"{name} took the test, and it did not arrive at a new subscriber", "read the topic's policy")
    return proven(f"{name} took the test from the notify function, and delivered it")


def _undelivered(account: Account, topics: Mapping[str, str], since: datetime) -> Iterator[Step]:
    """Whether SNS counts deliveries that failed since then."""
    if not topics:
        return
    yield Pause(_COUNTED_AFTER)
    wanted = {
        f"t{number}": ("AWS/SNS", "NumberOfNotificationsFailed", "TopicName", arn.rpartition(":")[2])
        for number, arn in enumerate(topics.values())
    }
    back = account.application.clock.now() - since + timedelta(minutes=1)
    counts = [sum(found.values()) for found in sums(account, wanted, back).values()]
    for name, count in zip(topics, counts, strict=True):
        if count:
            said = f"{name}: SNS could not deliver to {pluralize(count, 'subscriber')}"
            yield finding(said, "see the topic's metric NumberOfNotificationsFailed, and its subscriptions")


def ring_test_alarm(account: Account) -> Iterator[Step]:
    """Set an alarm that is quiet to ALARM: its message must come through the topics of the monitor's own alarms. The
    alarm is set back afterwards; by itself it goes back too."""
    topics = account.alarm_topics
    began = account.application.clock.now()
    speaking, trigger = _choose(stack_alarms(account), set(topics.values()))
    if not topics or speaking is None:
        yield finding("no alarm speaks to a topic of the stack's outputs", "deploy again")
        return
    if trigger is None:
        yield unchecked("every alarm that could be tried rings already", "see the dashboard")
        return
    with ExitStack() as cleanup:
        waiting = {name: cleanup.enter_context(temporary_queue(account, "alarm", arn)) for name, arn in topics.items()}
        yield Pause(_SUBSCRIBED)
        cleanup.enter_context(_ringing(account, trigger))
        end = account.timer.now() + _ARRIVES_WITHIN
        while waiting and account.timer.now() < end:
            for name, queue in list(waiting.items()):
                if any(_says(document, speaking) for document in queue.receive(account)):
                    del waiting[name]
            if waiting:
                yield Pause(_LOOK_EVERY)
    for name in topics:
        said = f"{name}: alarm {trigger['AlarmName']} rang, and"
        if name in waiting:
            yield finding(f"{said} no message of {speaking} came through", "read the topic's policy, and its key's")
        else:
            yield proven(f"{said} the message of {speaking} came through")
    yield from _undelivered(account, topics, began)


Alarm = Mapping[str, Any]


def _says(document: Mapping[str, Any], alarm: str) -> bool:
    return document.get("AlarmName") == alarm and document.get("NewStateValue") == "ALARM"


def _choose(alarms: Mapping[str, Sequence[Alarm]], topics: set[str]) -> tuple[str | None, Alarm | None]:
    """The alarm that speaks to the topics, and the one to set: itself, or of a composite alarm one that it is made of.

    A composite alarm that is set itself may stay as it was set. One whose rule has an AND may need more than one part.
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html"""
    quiet = [one for one in alarms["MetricAlarms"] if one["StateValue"] != "ALARM"]
    parts: list[tuple[Alarm, Alarm]] = [
        (one, part)
        for one in sorted(alarms["CompositeAlarms"], key=lambda one: " AND " in one["AlarmRule"])
        for part in quiet
        if _rings_with(one["AlarmRule"], part)
    ]
    choices = [*parts, *((one, one) for one in quiet)]
    everything = (*alarms["CompositeAlarms"], *alarms["MetricAlarms"])
    speaking = next((one["AlarmName"] for one in everything if _speaks(one, topics)), None)
    for speaker, trigger in choices:
        if _speaks(speaker, topics) and speaker["StateValue"] != "ALARM":
            return speaker["AlarmName"], trigger
    return speaking, None


def _speaks(alarm: Alarm, topics: set[str]) -> bool:
    return topics <= set(alarm.get("AlarmActions", ())) and bool(alarm.get("ActionsEnabled", True))


def _rings_with(rule: str, part: Alarm) -> bool:
    """Whether a composite alarm's rule has `ALARM(…)` of a part, by name or ARN, quoted or not."""
    names = "|".join(re.escape(name) for name in {part["AlarmName"], part.get("AlarmArn", part["AlarmName"])})
    return re.search(rf"(?<!NOT )\bALARM\([\"']?({names})[\"']?\)", rule) is not None


@contextmanager
def _ringing(account: Account, alarm: Alarm) -> Iterator[None]:
    def put(state: str) -> None:
        name = alarm["AlarmName"]
        account.call("cloudwatch", "set_alarm_state", AlarmName=name, StateValue=state, StateReason=ALARM_REASON)

    put("ALARM")
    try:
        yield
    finally:
        put(alarm["StateValue"])
