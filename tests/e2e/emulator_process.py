"""The AWS emulator as one process, on one loopback port, over TLS, with IAM enforced.

Runs in the emulator's own environment (`.venv-aws`, on the Python of the functions), because the emulator runs
functions with its own interpreter and gives them its own boto3, as Lambda does. Its own command listens on every
interface, and on port 443 too; this serves the same application on the address it is given and no other.

Some things differ from the emulator as it comes. EventBridge Scheduler fills in the context attributes of an input,
which AWS does (https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html). A
tick is looked for each half second, not each ten. A minute of a schedule can be shorter than a minute. A policy may be
conditional on the partition key that PutItem writes. Policies are judged on the action and the resource that AWS would
name. A template's composite alarms are made, and its alarms on an expression, which it keeps as one on the metric of
the expression. And DynamoDB can be told to refuse some reads.

Each kind of call that is judged by policies is written to a file, so that a test can compare what was called with what
the template allows. The account's root is not judged.
"""

import asyncio
import json
import os
import threading
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import error_response_json
from ministack.services import cloudwatch, dynamodb, eventbridge, lambda_svc, scheduler
from ministack.services.cloudformation import provisioners


def fill_in(text: str, schedule_arn: str, now: datetime) -> str:
    """Return a schedule's input with its context attributes replaced as AWS does."""
    attributes = {
        "schedule-arn": schedule_arn,
        "scheduled-time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def fill_in_schedules() -> None:
    """Make the emulator's schedules fill in their inputs."""
    invoke = eventbridge._invoke_target

    def invoke_filled_in(target: dict, event: dict, rule: dict, view: object = None) -> None:
        if event.get("Source") == "aws.scheduler" and target.get("Input"):
            target = {**target, "Input": fill_in(target["Input"], rule.get("Arn", ""), datetime.now(UTC))}
        invoke(target, event, rule, view)

    eventbridge._invoke_target = invoke_filled_in


def hurry(seconds_in_a_minute: float) -> None:
    """Make a minute of a schedule this long."""
    parse = eventbridge._parse_rate_seconds

    def shorter(expression: str) -> float | None:
        seconds = parse(expression)
        return None if seconds is None else seconds * seconds_in_a_minute / 60

    eventbridge._parse_rate_seconds = shorter
    scheduler._SCHEDULE_TICK_INTERVAL = 0.5


def authorise_batches_as_single_actions() -> None:
    """Make SQS ask for the permission of the single action where a batch is sent, as AWS does, which knows no other.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html"""
    extract = iam_actions.extract_iam_action

    def extract_single(service: str, *request: object) -> str | None:
        action = extract(service, *request)
        return action.removesuffix("Batch") if service == "sqs" and action else action

    iam_actions.extract_iam_action = extract_single


def count_concurrency() -> None:
    """Make a number of the concurrency that a template takes from a parameter, as CloudFormation does."""
    limit = lambda_svc._sqs_esm_concurrency

    def limit_by_number(mapping: dict, *function: object, **queue: object) -> int:
        scaling = {name: int(value) for name, value in (mapping.get("ScalingConfig") or {}).items()}
        return limit({**mapping, "ScalingConfig": scaling}, *function, **queue)

    lambda_svc._sqs_esm_concurrency = limit_by_number


def refuse_reads(listed: Path) -> None:
    """Make DynamoDB refuse a function's BatchGetItem that asks for one of the sort keys in a file, one on each line."""
    handle = dynamodb.handle_request

    def is_refused(headers: dict, body: bytes) -> bool:
        is_batch = headers.get("x-amz-target", "").endswith(".BatchGetItem")
        is_root = "Credential=test/" in headers.get("authorization", "")
        refused = listed.read_text().split() if is_batch and not is_root and listed.exists() else []
        return any(f'"{key}"'.encode() in body for key in refused)

    async def handle_or_refuse(method: str, path: str, headers: dict, body: bytes, query: dict) -> tuple:
        if is_refused(headers, body):
            return error_response_json("AccessDeniedException", "this test refuses the read", 400)
        return await handle(method, path, headers, body, query)

    dynamodb.handle_request = handle_or_refuse


def record_calls(path: Path) -> None:
    """Write a JSON line for each new combination of caller, action, resource and verdict. A call on several resources,
    with a space between their ARNs, is judged on each."""
    enforce, evaluate = iam_evaluator.enforce, iam_evaluator.evaluate
    seen: set[tuple[str, ...]] = set()
    judged = threading.local()
    file = path.open("w", buffering=1)

    def evaluate_and_note(context: iam_evaluator.EvalContext, *policies: object) -> iam_evaluator.EvalResult:
        judged.contexts.append(context)  # the first is the caller's own policies, others are those of the resource
        return evaluate(context, *policies)

    def enforce_on_all(*call: object, resource_arn: str = "*", **details: object) -> object:
        refusals = (enforce_and_record(*call, resource_arn=arn, **details) for arn in resource_arn.split(" "))
        return next((refusal for refusal in refusals if refusal), None)

    def enforce_and_record(*call: object, **details: object) -> object:
        judged.contexts = []
        refusal = enforce(*call, **details)
        if judged.contexts:
            context = judged.contexts[0]
            kind = (context.principal_arn, context.action, context.resource_arn, "Deny" if refusal else "Allow")
            if kind not in seen:
                seen.add(kind)
                file.write(json.dumps(kind) + "\n")
        return refusal

    iam_evaluator.evaluate, iam_evaluator.enforce = evaluate_and_note, enforce_on_all


def tell_leading_keys() -> None:
    """Make `dynamodb:LeadingKeys` known to conditions, which the emulator leaves out, for PutItem.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html"""
    find = iam_actions.dynamodb_service_context

    def find_with_keys(body: bytes) -> dict:
        row = json.loads(body or b"{}").get("Item", {})
        return find(body) | ({"dynamodb:LeadingKeys": [row["pk"]["S"]]} if "pk" in row else {})

    iam_actions.dynamodb_service_context = find_with_keys


def name_resources() -> None:
    """Make the resource of two calls what it is on AWS: GetSchedule's is in the group that is asked for and not in the
    default one; GetParameters' are the parameters that are asked for and not everything."""
    extract = iam_actions.extract_resource_arn

    def extract_more(service: str, method: str, path: str, *rest: Any) -> str:
        arn = extract(service, method, path, *rest)
        _, body, query, region, account = rest
        if service == "scheduler" and "groupName" in query:
            return arn.replace(":schedule/default/", f":schedule/{query['groupName'][0]}/")
        if service == "ssm" and arn == "*" and (names := json.loads(body or b"{}").get("Names")):
            return " ".join(f"arn:aws:ssm:{region}:{account}:parameter{name}" for name in names)
        return arn

    iam_actions.extract_resource_arn = extract_more


def make_all_alarms() -> None:
    """Make CloudFormation take alarms on an expression, and composite alarms."""
    record = provisioners._cw_metric_alarm_record

    def record_any(name: str, properties: dict) -> dict:
        for query in properties.get("Metrics", ()):
            if "MetricStat" in query:
                stat = query["MetricStat"]
                simple = {**stat["Metric"], "Period": stat["Period"], "Statistic": stat["Stat"], "Metrics": None}
                properties = {**properties, **simple}
        return record(name, properties)

    def put_composite(logical_id: str, properties: dict, stack_name: str) -> tuple[str, dict]:
        status, _, body = cloudwatch._put_composite_alarm({}, properties, is_cbor=True)
        if status != HTTPStatus.OK:
            raise ValueError(f"{stack_name}: {logical_id}: {body!r}")
        name = properties["AlarmName"]
        return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}

    provisioners._cw_metric_alarm_record = record_any
    provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::CompositeAlarm"] = {
        "create": put_composite,
        "update": lambda _id, _old, new, stack_name: put_composite("", new, stack_name),
        "delete": lambda physical_id, _: cloudwatch._composite_alarms.pop(physical_id, None),
    }


def main() -> None:
    """Serve until a signal comes."""
    make_all_alarms()
    fill_in_schedules()
    record_calls(Path(os.environ["CALLS_FILE"]))
    tell_leading_keys()
    name_resources()
    hurry(float(os.environ["SECONDS_IN_A_MINUTE"]))
    authorise_batches_as_single_actions()
    count_concurrency()
    refuse_reads(Path(os.environ["REFUSED_READS"]))
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['GATEWAY_PORT']}"]
    config.certfile, config.keyfile = os.environ["MINISTACK_SSL_CERT"], os.environ["MINISTACK_SSL_KEY"]
    config.keep_alive_timeout = 75
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    main()
