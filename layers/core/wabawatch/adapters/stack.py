"""A deployed stack, as CloudFormation describes it: where its state and configuration are, and how it fares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from wabawatch.application.errors import ConfigurationError, StoreError, WabawatchError

Clients = Callable[[str], Any]
"""A client for a service's name, such as `sqs`."""

_VARIABLES: Final = {
    "ApiKeySecret": "WABAWATCH_API_KEY_SECRET",
    "SlackWebhookSecret": "WABAWATCH_SLACK_WEBHOOK_SECRET",
    "BaseUrl": "WABAWATCH_BASE_URL",
    "HistoryDays": "WABAWATCH_HISTORY_DAYS",
    "PollEvery": "WABAWATCH_POLL_INTERVAL",
}
"""The template's parameters that its functions get, and as which variables."""
_WORKING_QUEUE: Final = "ShardQueue"
"""The one queue that may hold messages while all is well."""


class Stack(msgspec.Struct, frozen=True):
    """What a stack is made of. `environment` holds its functions' variables that a configuration may depend on;
    `secret_prefix` is what names of secrets begin with that its functions may read, or empty where that is unknown."""

    name: str
    status: str
    outputs: Mapping[str, str]
    environment: Mapping[str, str]
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


class Subscription(msgspec.Struct, frozen=True):
    """Who gets what a topic is told."""

    protocol: str
    endpoint: str
    is_confirmed: bool


def find(name: str, clients: Clients) -> Stack:
    """The stack of this name in the region of the environment. Raises ConfigurationError where there is none."""
    found = asked(lambda: clients("cloudformation").describe_stacks(StackName=name))["Stacks"][0]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", ())}
    parameters = {one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", ())}
    environment = {variable: parameters.get(parameter, "") for parameter, variable in _VARIABLES.items()}
    environment["WABAWATCH_DEPLOYMENT"] = name
    environment["WABAWATCH_ALERTS_TOPIC_ARN"] = outputs.get("AlertsTopicArn", "")
    given = {key: value for key, value in environment.items() if value}
    return Stack(name, found["StackStatus"], outputs, given, parameters.get("SecretPrefix", ""))


def schedule(stack: Stack, clients: Clients) -> tuple[bool, str]:
    """Whether the schedule of the runs is on, and its expression."""
    group, _, name = stack.outputs.get("ScheduleName", "").rpartition("/")
    given = {"Name": name, **({"GroupName": group} if group else {})}
    found = asked(lambda: clients("scheduler").get_schedule(**given))
    return found.get("State", "ENABLED") == "ENABLED", found["ScheduleExpression"]


def subscriptions(topic_arn: str, clients: Clients) -> list[Subscription]:
    """All of a topic's, in the topic's order."""
    pages = asked(
        lambda: list(clients("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn))
    )
    return [
        Subscription(one["Protocol"], one["Endpoint"], one["SubscriptionArn"].startswith("arn:"))
        for page in pages
        for one in page["Subscriptions"]
    ]


def dead_letters(stack: Stack, clients: Clients) -> dict[str, int]:
    """How many messages lie in each queue that should be empty."""
    resources = asked(lambda: clients("cloudformation").describe_stack_resources(StackName=stack.name))
    queues = {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for one in resources["StackResources"]
        if one["ResourceType"] == "AWS::SQS::Queue" and one["LogicalResourceId"] != _WORKING_QUEUE
    }
    return {name: _waiting(url, clients) for name, url in sorted(queues.items())}


def _waiting(url: str, clients: Clients) -> int:
    name = "ApproximateNumberOfMessages"
    found = asked(lambda: clients("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name]))
    return int(found["Attributes"][name])


def alarms(stack: Stack, clients: Clients) -> Sequence[str]:
    """The names of the stack's own alarms that ring."""
    found = asked(lambda: clients("cloudwatch").describe_alarms(AlarmNamePrefix=f"{stack.name}-", StateValue="ALARM"))
    return [one["AlarmName"] for one in found.get("MetricAlarms", ())]


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
    if code.startswith("Throttl") or response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400) >= 500:  # noqa: PLR2004
        return StoreError(f"AWS cannot answer {operation} for now ({code}); try again")
    return ConfigurationError(f"AWS refuses {operation} ({code}); see your credentials and their permissions")
