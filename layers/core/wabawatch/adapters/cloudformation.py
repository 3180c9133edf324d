"""Describe a deployed stack: where its state and configuration are, and the state of its schedules, queues and
alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from wabawatch.adapters.aws import Clients, call_aws
from wabawatch.errors import ConfigurationError

_VARIABLES: Final = {
    "ApiKeySecret": "WABAWATCH_API_KEY_SECRET",
    "SlackWebhookSecret": "WABAWATCH_SLACK_WEBHOOK_SECRET",
    "HeartbeatSecret": "WABAWATCH_HEARTBEAT_SECRET",
    "BaseUrl": "WABAWATCH_BASE_URL",
    "ApiHosts": "WABAWATCH_API_HOSTS",
    "HistoryDays": "WABAWATCH_HISTORY_DAYS",
    "PollEvery": "WABAWATCH_POLL_INTERVAL",
}
"""The environment variables of the functions, by template parameter."""
SCHEDULED: Final = ("poll", "notify")
"""The functions with a schedule; its name ends with the function's purpose."""
_CAUSES: Final = 3
_ARMS: Final = "StartedAlarm"
"""Missing data is normal until this alarm has data; see the template."""
_WORKING_QUEUE: Final = "ShardQueue"
"""The only queue that may hold messages in normal operation."""


class Stack(msgspec.Struct, frozen=True):
    """A deployed stack. `environment` holds the variables of its functions that a configuration may depend on;
    `secret_prefix` is the prefix of the secrets that its functions may read, "" where unknown."""

    name: str
    status: str
    outputs: Mapping[str, str]
    environment: Mapping[str, str]
    poll_concurrency: int = 5
    """How many shards are polled concurrently."""
    secret_prefix: str = ""

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
    """A resource of a stack: its type, such as `AWS::SQS::Queue`, and its physical ID."""

    type: str
    id: str


class Schedule(msgspec.Struct, frozen=True):
    """A schedule that starts a function. `name` is GROUP/NAME."""

    name: str
    is_on: bool
    expression: str


class DeadLetters(msgspec.Struct, frozen=True):
    """A dead-letter queue: the number of its messages, and the causes of some."""

    queue: str
    url: str
    count: int = 0
    causes: tuple[str, ...] = ()


class Alarms(msgspec.Struct, frozen=True):
    """The names of alarms in ALARM, and whether missing runs of the functions would raise one."""

    ringing: tuple[str, ...] = ()
    is_armed: bool = False


class Subscription(msgspec.Struct, frozen=True):
    """A subscriber of a topic."""

    protocol: str
    endpoint: str
    is_confirmed: bool
    arn: str = ""


def find_stack(name: str, clients: Clients) -> Stack:
    """Return the stack of this name in the region of the environment. Raises ConfigurationError where there is none."""
    found = call_aws(lambda: clients("cloudformation").describe_stacks(StackName=name))["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())}
    parameters = {item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters", ())}
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


def list_resources(stack: Stack, clients: Clients) -> dict[str, Resource]:
    """Return all resources of a stack by logical ID."""
    pages = call_aws(
        lambda: list(clients("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack.name))
    )
    return {
        item["LogicalResourceId"]: Resource(item["ResourceType"], item.get("PhysicalResourceId", ""))
        for page in pages
        for item in page["StackResourceSummaries"]
    }


def list_schedules(stack: Stack, clients: Clients) -> dict[str, Schedule | None]:
    """Return the schedule of each function by its purpose; None for a missing one."""
    group = stack.outputs.get("ScheduleName", "").rpartition("/")[0] or "default"
    scheduler = clients("scheduler")
    pages = call_aws(lambda: list(scheduler.get_paginator("list_schedules").paginate(GroupName=group)))
    names = [schedule["Name"] for page in pages for schedule in page["Schedules"]]
    found: dict[str, Schedule | None] = {}
    for purpose in SCHEDULED:
        name = next((name for name in names if name.endswith(f"-{purpose}")), None)
        found[purpose] = None if name is None else _read_schedule(group, name, scheduler)
    return found


def _read_schedule(group: str, name: str, scheduler: Any) -> Schedule:  # noqa: ANN401 - has no stubs at run time
    found = call_aws(lambda: scheduler.get_schedule(GroupName=group, Name=name))
    is_on = found.get("State", "ENABLED") == "ENABLED"
    return Schedule(f"{group}/{name}", is_on, found["ScheduleExpression"])


def list_subscriptions(topic_arn: str, clients: Clients) -> list[Subscription]:
    """Return all subscriptions of a topic, in its order."""
    pages = call_aws(
        lambda: list(clients("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn))
    )
    return [
        Subscription(
            item["Protocol"], item["Endpoint"], item["SubscriptionArn"].startswith("arn:"), item["SubscriptionArn"]
        )
        for page in pages
        for item in page["Subscriptions"]
    ]


def list_dead_letters(stack: Stack, clients: Clients) -> list[DeadLetters]:
    """Return the contents of each dead-letter queue."""
    queues = _find_ids(stack, "AWS::SQS::Queue", clients)
    return [_read_queue(name, url, clients) for name, url in sorted(queues.items()) if name != _WORKING_QUEUE]


def purge_queue(letters: DeadLetters, clients: Clients) -> None:
    """Delete all messages of a queue."""
    call_aws(lambda: clients("sqs").purge_queue(QueueUrl=letters.url))


def _read_queue(name: str, url: str, clients: Clients) -> DeadLetters:
    """Count the messages, and read some without hiding them from others."""
    count = "ApproximateNumberOfMessages"
    found = call_aws(lambda: clients("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[count]))
    waiting = int(found["Attributes"][count])
    if not waiting:
        return DeadLetters(name, url)
    some = call_aws(
        lambda: clients("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, MessageAttributeNames=["All"]
        )
    )
    causes = Counter(_explain_message(message) for message in some.get("Messages", ()))
    return DeadLetters(name, url, waiting, tuple(cause for cause, _ in causes.most_common(_CAUSES)))


def _explain_message(message: Mapping[str, Any]) -> str:
    """Return the cause of a message: the error of EventBridge Scheduler or of a function, or the shard that failed.

    Sources: https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html (attributes),
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html (the record of a destination)."""
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
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
    """The fields of a message that are read: of a failed event, or of a shard."""

    request_context: _Context | None = None
    response_payload: _Failure | None = None
    shard: int | None = None
    of: int | None = None


def read_alarms(stack: Stack, clients: Clients) -> Alarms:
    """Return the state of the stack's own metric alarms, without composite ones."""
    names = _find_ids(stack, "AWS::CloudWatch::Alarm", clients)
    if not names:
        return Alarms()
    found = call_aws(lambda: clients("cloudwatch").describe_alarms(AlarmNames=sorted(names.values())))
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in found.get("MetricAlarms", ())}
    ringing = tuple(name for name, state in sorted(states.items()) if state == "ALARM")
    return Alarms(ringing, is_armed=states.get(names.get(_ARMS, "")) == "OK")


def _find_ids(stack: Stack, kind: str, clients: Clients) -> dict[str, str]:
    """Return the physical IDs of the resources of a type, by logical ID."""
    return {name: resource.id for name, resource in list_resources(stack, clients).items() if resource.type == kind}
