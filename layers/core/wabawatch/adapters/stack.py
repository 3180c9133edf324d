"""A deployed stack, as CloudFormation describes it: where its state and configuration are, and how it fares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from wabawatch.errors import ConfigurationError, StoreError, WabawatchError

Clients = Callable[[str], Any]
"""A client for a service's name, such as `sqs`."""

_VARIABLES: Final = {
    "ApiKeySecret": "WABAWATCH_API_KEY_SECRET",
    "SlackWebhookSecret": "WABAWATCH_SLACK_WEBHOOK_SECRET",
    "HeartbeatSecret": "WABAWATCH_HEARTBEAT_SECRET",
    "BaseUrl": "WABAWATCH_BASE_URL",
    "ApiHosts": "WABAWATCH_API_HOSTS",
    "HistoryDays": "WABAWATCH_HISTORY_DAYS",
    "PollEvery": "WABAWATCH_POLL_INTERVAL",
}
"""The template's parameters that its functions get, and as which variables."""
SCHEDULED: Final = ("poll", "notify")
"""The functions that a schedule starts; a schedule's name ends with its function's purpose."""
_CAUSES: Final = 3
_ARMS: Final = "StartedAlarm"
"""Until it has data, silence is no fault; see the template."""
_WORKING_QUEUE: Final = "ShardQueue"
"""The one queue that may hold messages while all is well."""


class Stack(msgspec.Struct, frozen=True):
    """What a stack is made of. `environment` holds its functions' variables that a configuration may depend on;
    `secret_prefix` is what names of secrets begin with that its functions may read, or empty where that is unknown."""

    name: str
    status: str
    outputs: Mapping[str, str]
    environment: Mapping[str, str]
    poll_concurrency: int = 5
    """How many shards are read side by side."""
    secret_prefix: str = ""
    """What the names of its secrets begin with."""

    @property
    def state(self) -> str:
        return f"dynamodb:{self._output('TableName')}"

    @property
    def config(self) -> str:
        return self._output("ConfigLocation")

    def _output(self, key: str) -> str:
        if key not in self.outputs:
            raise ConfigurationError(f"stack {self.name!r} has no output {key}: it is no stack of Wabawatch")
        return self.outputs[key]


class Resource(msgspec.Struct, frozen=True):
    """A resource of a stack: its type, such as `AWS::SQS::Queue`, and its physical id."""

    type: str
    id: str


class Schedule(msgspec.Struct, frozen=True):
    """What starts a function. `name` is GROUP/NAME."""

    name: str
    is_on: bool
    expression: str


class DeadLetters(msgspec.Struct, frozen=True):
    """A queue that should be empty: how many messages lie in it, and why some of them do."""

    queue: str
    url: str
    count: int = 0
    causes: tuple[str, ...] = ()


class Alarms(msgspec.Struct, frozen=True):
    """The names of the alarms that ring, and whether silence of the functions would ring one."""

    ringing: tuple[str, ...] = ()
    is_armed: bool = False


class Subscription(msgspec.Struct, frozen=True):
    """Who gets what a topic is told."""

    protocol: str
    endpoint: str
    is_confirmed: bool
    arn: str = ""


def find(name: str, clients: Clients) -> Stack:
    """The stack of this name in the region of the environment. Raises ConfigurationError where there is none."""
    found = asked(lambda: clients("cloudformation").describe_stacks(StackName=name))["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", ())}
    parameters = {one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", ())}
    environment = {variable: parameters.get(parameter, "") for parameter, variable in _VARIABLES.items()}
    environment["WABAWATCH_DEPLOYMENT"] = name
    environment["WABAWATCH_ALERTS_TOPIC_ARN"] = outputs.get("AlertsTopicArn", "")
    given = {key: value for key, value in environment.items() if value}
    return Stack(
        name,
        found["StackStatus"],
        outputs,
        given,
        int(parameters.get("PollConcurrency") or 5),
        parameters.get("SecretPrefix", ""),
    )


def resources(stack: Stack, clients: Clients) -> dict[str, Resource]:
    """Return all resources of a stack by their logical id."""
    pages = asked(
        lambda: list(clients("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack.name))
    )
    return {
        one["LogicalResourceId"]: Resource(one["ResourceType"], one.get("PhysicalResourceId", ""))
        for page in pages
        for one in page["StackResourceSummaries"]
    }


def schedules(stack: Stack, clients: Clients) -> dict[str, Schedule | None]:
    """Return the schedule of each function, by the function's purpose; None for one that is not there."""
    group = stack.outputs.get("ScheduleName", "").rpartition("/")[0] or "default"
    scheduler = clients("scheduler")
    pages = asked(lambda: list(scheduler.get_paginator("list_schedules").paginate(GroupName=group)))
    names = [one["Name"] for page in pages for one in page["Schedules"]]
    found: dict[str, Schedule | None] = {}
    for purpose in SCHEDULED:
        name = next((name for name in names if name.endswith(f"-{purpose}")), None)
        found[purpose] = None if name is None else _schedule(group, name, scheduler)
    return found


def _schedule(group: str, name: str, scheduler: Any) -> Schedule:  # noqa: ANN401 - has no stubs at run time
    found = asked(lambda: scheduler.get_schedule(GroupName=group, Name=name))
    is_on = found.get("State", "ENABLED") == "ENABLED"
    return Schedule(f"{group}/{name}", is_on, found["ScheduleExpression"])


def subscriptions(topic_arn: str, clients: Clients) -> list[Subscription]:
    """All of a topic's, in the topic's order."""
    pages = asked(
        lambda: list(clients("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn))
    )
    return [
        Subscription(
            one["Protocol"], one["Endpoint"], one["SubscriptionArn"].startswith("arn:"), one["SubscriptionArn"]
        )
        for page in pages
        for one in page["Subscriptions"]
    ]


def dead_letters(stack: Stack, clients: Clients) -> list[DeadLetters]:
    """What lies in each queue that should be empty."""
    queues = _resources(stack, "AWS::SQS::Queue", clients)
    return [_letters(name, url, clients) for name, url in sorted(queues.items()) if name != _WORKING_QUEUE]


def purge(letters: DeadLetters, clients: Clients) -> None:
    """Delete all messages of a queue."""
    asked(lambda: clients("sqs").purge_queue(QueueUrl=letters.url))


def _letters(name: str, url: str, clients: Clients) -> DeadLetters:
    """Count the messages, and look at some; they stay visible to others."""
    count = "ApproximateNumberOfMessages"
    found = asked(lambda: clients("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[count]))
    lying = int(found["Attributes"][count])
    if not lying:
        return DeadLetters(name, url)
    some = asked(
        lambda: clients("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageAttributeNames=["All"]
        )
    )
    causes = Counter(_cause(one) for one in some.get("Messages", ()))
    return DeadLetters(name, url, lying, tuple(cause for cause, _ in causes.most_common(_CAUSES)))


def _cause(message: Mapping[str, Any]) -> str:
    """Why a message lies there: the error of EventBridge Scheduler, of a function, or the shard that failed.

    Sources: https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html (attributes),
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html (the record of a destination)."""
    attributes = {name: one.get("StringValue", "") for name, one in message.get("MessageAttributes", {}).items()}
    if "ERROR_CODE" in attributes:
        return f"{attributes['ERROR_CODE']}: {attributes.get('ERROR_MESSAGE', '')}"
    try:
        body = msgspec.json.decode(message["Body"], type=_Letter)
    except msgspec.DecodeError:
        return "a message of unknown form"
    if body.request_context is not None:
        function = body.request_context.function_arn.rpartition(":function:")[2].partition(":")[0]
        failure = body.response_payload
        return f"{function}: {(failure and failure.message) or body.request_context.condition}"
    return "a message of unknown form" if body.shard is None else f"shard {body.shard} of {body.of}"


class _Context(msgspec.Struct, frozen=True, rename="camel"):
    function_arn: str = ""
    condition: str = ""


class _Failure(msgspec.Struct, frozen=True):
    message: str = msgspec.field(default="", name="errorMessage")


class _Letter(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of a message: of a failed event, or of a shard."""

    request_context: _Context | None = None
    response_payload: _Failure | None = None
    shard: int | None = None
    of: int | None = None


def alarms(stack: Stack, clients: Clients) -> Alarms:
    """How the stack's own alarms stand, but for those that stand for several."""
    names = _resources(stack, "AWS::CloudWatch::Alarm", clients)
    if not names:
        return Alarms()
    found = asked(lambda: clients("cloudwatch").describe_alarms(AlarmNames=sorted(names.values())))
    states = {one["AlarmName"]: one["StateValue"] for one in found.get("MetricAlarms", ())}
    ringing = tuple(name for name, state in sorted(states.items()) if state == "ALARM")
    return Alarms(ringing, is_armed=states.get(names.get(_ARMS, "")) == "OK")


def _resources(stack: Stack, kind: str, clients: Clients) -> dict[str, str]:
    """The physical ids of the resources of a type, by logical id."""
    return {name: one.id for name, one in resources(stack, clients).items() if one.type == kind}


def asked(call: Callable[[], Any]) -> Any:  # noqa: ANN401 - the answers of several services
    """The answer. Raises ConfigurationError where AWS refuses, StoreError where it cannot be asked for now."""
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, HTTPClientError  # noqa: PLC0415

    try:
        return call()
    except ClientError as error:
        raise _refused(error.response, error.operation_name) from error
    except (EndpointConnectionError, HTTPClientError) as error:
        raise StoreError(
            f"AWS cannot be reached for now ({type(error).__name__}); see the network and the region"
        ) from error
    except BotoCoreError as error:
        raise ConfigurationError(f"AWS is not set up: {error}") from error


def _refused(response: Mapping[str, Any], operation: str) -> WabawatchError:
    about = response.get("Error", {})
    code, said = str(about.get("Code", "")), str(about.get("Message", ""))
    if code == "ValidationError" and "does not exist" in said:
        return ConfigurationError(f"{said}; look at its name and at AWS_REGION")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    is_busy = code.startswith("Throttl") or code.endswith("PurgeQueueInProgress")
    if is_busy or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return StoreError(f"AWS cannot answer {operation} for now ({code}); try again")
    return ConfigurationError(f"AWS refuses {operation} ({code}); see your credentials and their permissions")
