"""Check SNS topics: subscriptions, filter policies, and leftovers of earlier verifications."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from wabawatch.adapters.notifiers import registry
from wabawatch.adapters.notifiers.sns import Options
from wabawatch.cli.verify_aws.check import (
    LIMIT,
    Account,
    MissingPermissionError,
    Pause,
    Step,
    finding,
    missing_permission,
    proven,
)
from wabawatch.errors import DeliveryError
from wabawatch.messages.notification import build_sample
from wabawatch.messages.text import pluralize

_LONGEST_STACK: Final = 52
"""Maximum characters of the stack's name in a queue's name, which may have 80."""
_UNSEEN: Final = "3600"
"""Visibility timeout in seconds: longer than a verification, so that no message is counted twice or must be deleted."""


class TemporaryQueue(msgspec.Struct, frozen=True):
    """A queue that is subscribed to a topic."""

    url: str
    arn: str

    def receive(self, account: Account) -> list[dict[str, Any]]:
        """Return new messages as JSON documents; skip those that are not JSON."""
        asked = {"QueueUrl": self.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        found = account.call("sqs", "receive_message", **asked).get("Messages", ())
        return [document for message in found if isinstance(document := _decode(message["Body"]), dict)]


def _decode(body: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(body)
    except ValueError:
        return None


@contextmanager
def temporary_topic(account: Account, purpose: str) -> Iterator[str]:
    """Create a topic, yield its ARN, and delete it."""
    arn: str = account.call("sns", "create_topic", Name=_name(account, purpose))["TopicArn"]
    try:
        yield arn
    finally:
        account.call("sns", "delete_topic", TopicArn=arn)


@contextmanager
def temporary_queue(
    account: Account, purpose: str, topic_arn: str, attributes: Mapping[str, str] | None = None
) -> Iterator[TemporaryQueue]:
    """Create a queue that is subscribed to a topic, and delete it. `attributes` are those of the subscription."""
    with ExitStack() as cleanup:
        settings = _settings(topic_arn)
        url: str = account.call("sqs", "create_queue", QueueName=_name(account, purpose), Attributes=settings)[
            "QueueUrl"
        ]
        cleanup.callback(account.call, "sqs", "delete_queue", QueueUrl=url)
        arn = account.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        subscribed = account.call(
            "sns",
            "subscribe",
            TopicArn=topic_arn,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true", **(attributes or {})},
            ReturnSubscriptionArn=True,
        )
        cleanup.callback(account.call, "sns", "unsubscribe", SubscriptionArn=subscribed["SubscriptionArn"])
        yield TemporaryQueue(url, arn)


def _settings(topic_arn: str) -> dict[str, str]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",  # a queue's policy never reaches beyond the queue
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return {"Policy": policy, "VisibilityTimeout": _UNSEEN, "MessageRetentionPeriod": _UNSEEN}


def _name(account: Account, purpose: str) -> str:
    at = int(account.application.clock.now().timestamp())
    return f"{_prefix(account)}{at:08x}{secrets.token_hex(2)}-{purpose}"


def _prefix(account: Account) -> str:
    return f"{account.stack.name[:_LONGEST_STACK]}-verify-"


def remove_leftovers(account: Account) -> Iterator[Step]:
    """Remove resources of earlier verifications of this stack; subscriptions first, so that each has its queue."""
    removed = 0
    for topic in account.topics.values():
        subscriptions = account.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic)
        for subscription in subscriptions:
            endpoint, arn = subscription["Endpoint"], subscription["SubscriptionArn"]
            if _is_left_over(account, endpoint.rpartition(":")[2]) and arn.startswith("arn:"):
                account.call("sns", "unsubscribe", SubscriptionArn=arn)
                removed += 1
    for arn in (topic["TopicArn"] for topic in account.pages("sns", "list_topics", "Topics")):
        if _is_left_over(account, arn.rpartition(":")[2]):
            account.call("sns", "delete_topic", TopicArn=arn)
            removed += 1
    for url in account.pages("sqs", "list_queues", "QueueUrls", QueueNamePrefix=_prefix(account)):
        if _is_left_over(account, url.rpartition("/")[2]):
            account.call("sqs", "delete_queue", QueueUrl=url)
            removed += 1
    yield proven(f"{removed} removed" if removed else "nothing to remove")


def _is_left_over(account: Account, name: str) -> bool:
    """Return whether a resource name belongs to a verification of this stack that must have ended."""
    found = re.fullmatch(re.escape(_prefix(account)) + r"([0-9a-f]{8})[0-9a-f]{4}-[a-z]+", name)
    if found is None:
        return False
    began = datetime.fromtimestamp(int(found[1], 16), UTC)
    return account.application.clock.now() - began > timedelta(seconds=LIMIT) + timedelta(minutes=10)


_ATTRIBUTES: Final = "MessageAttributes"
_BODY: Final = "MessageBody"
_FIELD: Final = {_ATTRIBUTES: "event", _BODY: "kind"}
"""Field with the kind of a notification, by the scope of a filter policy."""
_EFFECTIVE_WITHIN: Final = 16 * 60.0
"""Seconds. Source: https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html (15 minutes)"""
_BETWEEN_ROUNDS: Final = 45.0
_ROUND: Final = 60.0
_SETTLED: Final = 15.0
"""Seconds to wait for unwanted messages after all expected ones have arrived."""
_SUBSCRIBED: Final = 10.0
_LOOK_EVERY: Final = 5.0


def subscriptions(account: Account) -> Iterator[Step]:
    """Check that each topic has subscribers, all confirmed, and that no link in an e-mail unsubscribes them."""
    for name, arn in account.topics.items():
        attributes = account.call("sns", "get_topic_attributes", TopicArn=arn)["Attributes"]
        found = account.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)
        confirmed = [subscription for subscription in found if subscription["SubscriptionArn"].startswith("arn:")]
        pending = [f"{item['Protocol']} {item['Endpoint']}" for item in found if _is_pending(item)]
        if not confirmed:
            yield finding(f"{name}: no confirmed subscription", "subscribe an endpoint, and confirm the subscription")
        for subscriber in pending:
            todo = "confirm it with the link in AWS's first message: AWS deletes it after two days"
            yield finding(f"{name}: {subscriber} is not confirmed", todo)
        if deleted := int(attributes.get("SubscriptionsDeleted", 0)):
            said = f"{name}: {pluralize(deleted, 'subscription')} deleted recently"
            yield finding(said, "if this was not intended, subscribe and confirm again")
        unprotected = [
            subscription["Endpoint"]
            for subscription in confirmed
            if subscription["Protocol"] == "email" and _is_unprotected(account, subscription)
        ]
        for endpoint in unprotected:
            todo = "confirm again with aws sns confirm-subscription --authenticate-on-unsubscribe true"
            yield finding(f"{name}: the link in each e-mail to {endpoint} unsubscribes it without authentication", todo)
        if confirmed and not pending and not deleted and not unprotected:
            yield proven(f"{name}: {pluralize(len(confirmed), 'subscription')}, all confirmed")


def _is_pending(subscription: Mapping[str, str]) -> bool:
    return subscription["SubscriptionArn"] == "PendingConfirmation"


def _is_unprotected(account: Account, subscription: Mapping[str, str]) -> bool:
    """Return whether the link in each e-mail, which mail scanners follow, unsubscribes without authentication."""
    asked = {"SubscriptionArn": subscription["SubscriptionArn"]}
    found = account.call("sns", "get_subscription_attributes", **asked)["Attributes"]
    return bool(found.get("ConfirmationWasAuthenticated") != "true")


class _Case(msgspec.Struct, frozen=True):
    """A format of the notifier and a scope of filter policies. `is_promised`: documented to work."""

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
    """`everything` has no filter. In each pair, only the first queue's policy accepts the test message."""

    everything: TemporaryQueue
    pairs: Mapping[str, tuple[TemporaryQueue, TemporaryQueue]]

    @property
    def all(self) -> list[TemporaryQueue]:
        return [self.everything, *(queue for pair in self.pairs.values() for queue in pair)]


def filter_policies(account: Account) -> Iterator[Step]:
    """Subscribe queues with filter policies to a temporary topic, and publish test notifications until the policies are
    effective."""
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
"""Formats of the messages that arrived, by queue URL."""


def _round(account: Account, topic: str, queues: _Queues) -> Generator[Pause, None, _Arrived]:
    """Publish once in each format, and return the formats that arrived in each queue.

    Wait until the queue without a filter has all of them, and then for late messages."""
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
    """Publish a sample by the SNS notifier, and return the notification's ID."""
    audience = account.application.audience
    number = f"test-{secrets.token_hex(6)}"
    context = registry.NotifyContext(account.application.secrets.key, lambda service, _region: account.client(service))
    options = msgspec.convert({"topic_arn": topic, "format": name}, Options)
    now = account.application.clock.now()
    try:
        registry.build("verify", "sns", options, context).deliver(
            build_sample("verify", audience.deployment, now, number, audience.advise), {}
        )
    except DeliveryError as error:
        if (action := missing_permission(error.__cause__, "sns")) is not None:
            raise MissingPermissionError(action) from error
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
    return proven(f"{what}: filter policies do not work, as documented")
