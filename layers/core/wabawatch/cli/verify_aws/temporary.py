"""Queues, topics and subscriptions that exist while a check runs.

Their names hold the stack's name and the time: what an interrupted verification left behind is recognised and removed
by the next one, and what another person's verification is using is left alone.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from wabawatch.cli.verify_aws.account import Account
from wabawatch.cli.verify_aws.check import LIMIT, Step, proven

_LONGEST_STACK: Final = 52
"""Characters of the stack's name: a queue's name has 80 at most."""
_UNSEEN: Final = "3600"
"""Seconds for which a message that was read is not seen again: longer than a verification, so that none is counted
twice and none needs to be deleted."""


class TemporaryQueue(msgspec.Struct, frozen=True):
    """A queue that is subscribed to a topic."""

    url: str
    arn: str

    def receive(self, account: Account) -> list[dict[str, Any]]:
        """Messages that were not received before, as JSON documents; whatever is no JSON is left out."""
        asked = {"QueueUrl": self.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        found = account.call("sqs", "receive_message", **asked).get("Messages", ())
        return [document for one in found if isinstance(document := _decode(one["Body"]), dict)]


def _decode(body: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(body)
    except ValueError:
        return None


@contextmanager
def temporary_topic(account: Account, purpose: str) -> Iterator[str]:
    """A topic that nobody subscribes to; its ARN."""
    arn: str = account.call("sns", "create_topic", Name=_name(account, purpose))["TopicArn"]
    try:
        yield arn
    finally:
        account.call("sns", "delete_topic", TopicArn=arn)


@contextmanager
def temporary_queue(
    account: Account, purpose: str, topic_arn: str, attributes: Mapping[str, str] | None = None
) -> Iterator[TemporaryQueue]:
    """A queue that gets what is published to a topic. `attributes` are the subscription's."""
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
    """Remove what an earlier verification of this stack left behind; subscriptions first, so that none dangles."""
    gone = 0
    for topic in account.topics.values():
        subscriptions = account.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=topic)
        for one in subscriptions:
            if _is_left_over(account, one["Endpoint"].rpartition(":")[2]) and one["SubscriptionArn"].startswith("arn:"):
                account.call("sns", "unsubscribe", SubscriptionArn=one["SubscriptionArn"])
                gone += 1
    for one in account.pages("sns", "list_topics", "Topics"):
        if _is_left_over(account, one["TopicArn"].rpartition(":")[2]):
            account.call("sns", "delete_topic", TopicArn=one["TopicArn"])
            gone += 1
    for url in account.pages("sqs", "list_queues", "QueueUrls", QueueNamePrefix=_prefix(account)):
        if _is_left_over(account, url.rpartition("/")[2]):
            account.call("sqs", "delete_queue", QueueUrl=url)
            gone += 1
    yield proven(f"{gone} removed that an earlier verification left" if gone else "nothing was left by an earlier one")


def _is_left_over(account: Account, name: str) -> bool:
    """Whether a name is of a verification of this stack that must have ended."""
    found = re.fullmatch(re.escape(_prefix(account)) + r"([0-9a-f]{8})[0-9a-f]{4}-[a-z]+", name)
    if found is None:
        return False
    began = datetime.fromtimestamp(int(found[1], 16), UTC)
    return account.application.clock.now() - began > timedelta(seconds=LIMIT) + timedelta(minutes=10)
