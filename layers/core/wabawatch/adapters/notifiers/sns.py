"""sns: one topic, with a body for each protocol, or with what Amazon Q Developer in chat applications understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from wabawatch.adapters.notifiers.answers import retry_after
from wabawatch.adapters.notifiers.world import World
from wabawatch.application.errors import DeliveryError
from wabawatch.application.ports import Receipt
from wabawatch.domain.messages import Notification

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_ARN: Final = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
_PASSING: Final = re.compile(
    "Throttl|TooManyRequests|RequestLimit|SlowDown|Internal|ServiceUnavailable|ExpiredToken|Timeout"
)
_SERVER_FAULTS: Final = 500
_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`topic_arn`; `format`: `protocols` (a body for each kind of subscriber) or `q-developer` (such a topic carries
    only that, and has no other readers)."""

    topic_arn: str
    format: Literal["protocols", "q-developer"] = "protocols"

    def __post_init__(self) -> None:
        if not _ARN.fullmatch(self.topic_arn):
            raise ValueError("topic_arn: write the whole ARN, arn:aws:sns:REGION:ACCOUNT:NAME")


class Sns:
    """Publishes to one topic, in the topic's own region."""

    kind = "sns"

    def __init__(self, options: Options, world: World) -> None:
        self._options = options
        self._world = world

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - the SDK waits for the first delivery
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - as above; it is no BotoCoreError

        try:
            self._client.publish(**self._request(notification))
        except ClientError as error:
            raise _refused(error.response) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise _unsent(error) from error
        return Receipt(thread)

    @cached_property
    def _client(self) -> SNSClient:
        client: SNSClient = self._world.client("sns", self._options.topic_arn.split(":")[3])
        return client

    def _request(self, notification: Notification) -> Any:  # noqa: ANN401 - the stubs' type has no name at run time
        from wabawatch.adapters.notifiers import sns_bodies as write  # noqa: PLC0415 - poll composes nothing

        request: dict[str, Any] = {
            "TopicArn": self._options.topic_arn,
            "MessageAttributes": write.attributes(notification),
        }
        if self._options.format == "q-developer":
            request["Message"] = write.chat_document(notification)
        else:
            request |= {"Subject": write.subject_line(notification), "Message": write.bodies(notification)}
            request["MessageStructure"] = "json"
        return request | (_ordered(notification) if self._options.topic_arn.endswith(".fifo") else {})


def _ordered(notification: Notification) -> dict[str, str]:
    """The news of one incident stays in order. The notification's own id tells repeats apart: with the incident's, SNS
    would drop the recovery as a repeat of the problem."""
    single = notification.kind != "digest" and notification.subjects
    group = notification.subject.incident_id if single else notification.kind
    return {"MessageGroupId": _id(group), "MessageDeduplicationId": _id(notification.id)}


def _id(text: str) -> str:
    return _NOT_IN_IDS.sub("-", text)[:128] or "-"


def _refused(response: Any) -> DeliveryError:  # noqa: ANN401 - botocore's untyped answer
    """By the error's code, and by the status where the code says nothing: 4xx lasts until somebody acts."""
    code = str(response.get("Error", {}).get("Code", ""))
    metadata = response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode") or 0
    passing = bool(_PASSING.search(code)) or status >= _SERVER_FAULTS or status in {0, 408, 429}
    wait = retry_after({"Retry-After": str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))})
    return DeliveryError(f"SNS says {code or status}", lasting=not passing, retry_after=wait if passing else None)


def _unsent(error: Exception) -> DeliveryError:
    """Nothing readable was answered. Without credentials, or with a request that botocore itself refuses, nothing ever
    will be."""
    name = type(error).__name__
    lasting = name in {"NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "ProfileNotFound"}
    return DeliveryError(f"SNS was not reached: {name}", lasting=lasting)


def build(name: str, options: Options, world: World) -> Sns:  # noqa: ARG001 - the signature of every notifier
    return Sns(options, world)
