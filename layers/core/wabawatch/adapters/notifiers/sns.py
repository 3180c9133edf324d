"""sns: one topic, with a body for each protocol, or with what Amazon Q Developer in chat applications understands."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from wabawatch.adapters.http_rules import parse_retry_after, status_kind
from wabawatch.adapters.notifiers.registry import NotifyContext
from wabawatch.application.ports import Receipt, SubscriptionCounts
from wabawatch.domain.notification import Notification
from wabawatch.errors import DeliveryError, DeliveryErrorKind

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_ARN: Final = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
_PASSING: Final = re.compile(
    "Throttl|TooManyRequests|RequestLimit|SlowDown|Internal|ServiceUnavailable|ExpiredToken|Timeout"
)
_OF_THE_MESSAGE: Final = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"})
_NEVER_SENT: Final = {
    "ParamValidationError": DeliveryErrorKind.MESSAGE,
    "NoCredentialsError": DeliveryErrorKind.DESTINATION,
    "PartialCredentialsError": DeliveryErrorKind.DESTINATION,
    "ProfileNotFound": DeliveryErrorKind.DESTINATION,
}
"""What botocore itself refuses."""
_NOT_REACHED: Final = ("EndpointConnectionError", "ConnectTimeoutError", "SSLError", "ProxyConnectionError")
_BAD_REQUEST: Final = 400
_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A topic, and what is published there, as `format` says.

    - `protocols`: for people; a body for each kind of subscriber, for machines the JSON payload. It has no
      message attributes, because SNS passes them on only with a message that is no JSON of protocols.
    - `document`: for machines; the JSON payload, with message attributes for filter policies.
    - `q-developer`: for Amazon Q Developer in chat applications; such a topic has no other readers.

    `may_be_empty`: that nobody ever subscribed to the topic is no fault.

    Source: https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html (the structure of the message)."""

    topic_arn: str
    format: Literal["protocols", "document", "q-developer"] = "protocols"
    may_be_empty: bool = False

    def __post_init__(self) -> None:
        if not _ARN.fullmatch(self.topic_arn):
            raise ValueError("topic_arn: write the whole ARN, arn:aws:sns:REGION:ACCOUNT:NAME")


class Sns:
    """Publishes to one topic, in the topic's own region."""

    kind = "sns"

    def __init__(self, options: Options, context: NotifyContext) -> None:
        self._options = options
        self._context = context
        self.topic_arn = options.topic_arn
        self.may_be_empty = options.may_be_empty

    def count_subscriptions(self) -> SubscriptionCounts:
        counts = self._ask(lambda: self._client.get_topic_attributes(TopicArn=self.topic_arn))["Attributes"]
        confirmed, pending, deleted = (
            int(counts.get(f"Subscriptions{word}", "0")) for word in ("Confirmed", "Pending", "Deleted")
        )
        return SubscriptionCounts(confirmed, pending, deleted)

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        self._ask(lambda: self._client.publish(**self._request(notification)))
        return Receipt(thread)

    def _ask(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - the answers of several operations
        """Raises DeliveryError."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - the SDK waits for the first delivery
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - as above; it is no BotoCoreError

        try:
            return call()
        except ClientError as error:
            raise _refused(error.response) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise _unsent(error) from error

    @cached_property
    def _client(self) -> SNSClient:
        client: SNSClient = self._context.client("sns", self._options.topic_arn.split(":")[3])
        return client

    def _request(self, notification: Notification) -> Any:  # noqa: ANN401 - the stubs' type has no name at run time
        from wabawatch.adapters.notifiers import sns_payload as payload  # noqa: PLC0415 - poll builds no messages

        request: dict[str, Any] = {"TopicArn": self._options.topic_arn}
        if self._options.format == "q-developer":
            request["Message"] = payload.build_chat_notification(notification)
        elif self._options.format == "document":
            request["Message"] = payload.build_json_payload(notification)
            request["MessageAttributes"] = payload.build_attributes(notification)
        else:
            request |= {
                "Subject": payload.build_subject(notification),
                "Message": payload.build_bodies(notification),
            }
            request["MessageStructure"] = "json"
        return request | (_ordered(notification) if self._options.topic_arn.endswith(".fifo") else {})


def _ordered(notification: Notification) -> dict[str, str]:
    """Return the FIFO parameters: messages of one incident stay in order. The deduplication ID is that of the
    notification: with the incident's, SNS would drop the recovery as a duplicate of the problem."""
    single = notification.kind != "digest" and notification.subjects
    group = notification.subject.incident_id if single else notification.kind
    return {"MessageGroupId": _id(group), "MessageDeduplicationId": _id(notification.id)}


def _id(text: str) -> str:
    return _NOT_IN_IDS.sub("-", text)[:128] or "-"


def _refused(response: Any) -> DeliveryError:  # noqa: ANN401 - botocore's untyped answer
    code = str(response.get("Error", {}).get("Code", ""))
    metadata = response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode") or 0
    kind = _kind(code, status)
    header = str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))
    wait = parse_retry_after(header, datetime.now(UTC)) if kind is DeliveryErrorKind.PASSING else None
    return DeliveryError(f"SNS says {code or status}", kind, retry_after=wait)


def _kind(code: str, status: int) -> DeliveryErrorKind:
    """Classify by the error's code, and by the status where the code says nothing. SNS answers 400 for a key or an
    endpoint that is disabled too: a code that is not known as a fault of the message is one of the destination.

    Source: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (errors)."""
    if _PASSING.search(code):
        return DeliveryErrorKind.PASSING
    if code in _OF_THE_MESSAGE:
        return DeliveryErrorKind.MESSAGE
    return DeliveryErrorKind.DESTINATION if status == _BAD_REQUEST else status_kind(status)


def _unsent(error: Exception) -> DeliveryError:
    """Nothing readable was answered: unless it is certain that nothing was sent, SNS may have taken it."""
    name = type(error).__name__
    kind = _NEVER_SENT.get(name, DeliveryErrorKind.PASSING)
    return DeliveryError(f"SNS was not reached: {name}", kind, is_answered=name in {*_NEVER_SENT, *_NOT_REACHED})


def build(name: str, options: Options, context: NotifyContext) -> Sns:  # noqa: ARG001 - the signature of every notifier
    return Sns(options, context)
