"""End-to-end checks: self-tests of the functions, the test alert and the test alarm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from wabawatch.cli.verify_aws.check import (
    Account,
    Pause,
    Step,
    finding,
    proven,
    unchecked,
)
from wabawatch.cli.verify_aws.deployment import stack_alarms, sums
from wabawatch.cli.verify_aws.topics import (
    _LOOK_EVERY,
    _SUBSCRIBED,
    temporary_queue,
)
from wabawatch.messages.text import pluralize

_PROCESSORS: Final = {"arm64": {"aarch64", "arm64"}, "x86_64": {"x86_64", "AMD64"}}
"""Python's names of the processor, by Lambda's name."""
_REPORT: Final = re.compile(r"\bDuration: ([\d.]+) ms\s+Billed .*Init Duration: ([\d.]+) ms", re.DOTALL)
_LOOK_BACK: Final = timedelta(days=1)
_LONGEST_INIT: Final = 5_000.0
"""Milliseconds. After ten seconds Lambda restarts the function, and this counts towards its timeout."""


def ask_function(account: Account, purpose: str, **more: bool) -> Mapping[str, Any] | Step:
    """Invoke a function's self-test and return its response, or a finding if it failed."""
    event = json.dumps({"wabawatch": "self-test", **more})
    answer = account.call("lambda", "invoke", FunctionName=account.functions[purpose], Payload=event)
    document = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" in answer or not isinstance(document, dict) or "tried" not in document:
        said = document.get("errorMessage") if isinstance(document, dict) else None
        return finding(f"{purpose} failed: {said or answer.get('FunctionError', 'no answer')}", _todo(str(said)))
    return document


def _todo(said: str) -> str:
    if "not an event" in said:
        return "deploy this version: an earlier one has no self-test"
    if "import" in said.lower() or "No module" in said:
        return "the layer does not fit: make build, and make deploy with the ARCHITECTURE of the functions"
    return "read the function's log"


def functions(account: Account) -> Iterator[Step]:
    """Invoke each function to check its native libraries, its processor and the permissions of its role."""
    for purpose, name in account.functions.items():
        answer = ask_function(account, purpose)
        if not isinstance(answer, Mapping):
            yield answer
            continue
        (wanted,) = account.call("lambda", "get_function_configuration", FunctionName=name).get(
            "Architectures", ["x86_64"]
        )
        if answer["architecture"] not in _PROCESSORS.get(wanted, {wanted}):
            yield finding(f"{purpose} runs on {answer['architecture']} and not on {wanted}", "deploy again")
        errors = [step for step in answer["tried"] if step.get("error")]
        for step in errors:
            yield finding(
                f"{purpose}: {step['name']}: {step['error']}", "allow it in the template's role, or correct it"
            )
        if not errors:
            yield _passed(purpose, answer)


def _passed(purpose: str, answer: Mapping[str, Any]) -> Step:
    versions = ", ".join(f"{name} {version}" for name, version in answer["versions"].items())
    read, of = answer["secrets"], answer["secrets_in_all"]
    some = f"{read} of {pluralize(of, 'secret')}" if read < of else pluralize(of, "secret")
    return proven(
        f"{purpose} runs on {answer['architecture']} and has the permissions it needs, {some} read; {versions}"
    )


def cold_start(account: Account) -> Iterator[Step]:
    """Read Lambda's own measurement of the latest cold start of each function from the logs."""
    since = account.application.clock.now() - _LOOK_BACK
    for purpose, name in account.functions.items():
        events = account.pages(
            "logs",
            "filter_log_events",
            "events",
            logGroupName=f"/aws/lambda/{name}",
            filterPattern='"Init Duration"',
            startTime=int(since.timestamp() * 1000),
        )
        found = [match for event in events if (match := _REPORT.search(event["message"]))]
        if not found:
            yield unchecked(
                f"{purpose} had no cold start in the last day", "run the verification again after a deployment"
            )
            continue
        first, init = float(found[-1][1]), float(found[-1][2])
        said = f"{purpose} started in {init / 1000:.2f} s, and processed its first event in {first / 1000:.2f} s"
        yield (
            proven(said)
            if init < _LONGEST_INIT
            else finding(said, "Lambda allows 10 s: check that the layer contains the bytecode")
        )


ALARM_REASON: Final = "A test by `wabawatch doctor --verify-aws`: nothing is wrong"
_ARRIVES_WITHIN: Final = 300.0
_COUNTED_AFTER: Final = 240.0
"""Seconds until CloudWatch shows the metrics of SNS."""


def deliver_test_alert(account: Account) -> Iterator[Step]:
    """Let the notify function send a marked test; it must arrive at a temporary queue, subscribed beside the people."""
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
        delivered = answer["delivered"]
        failed = {delivery["name"]: delivery["error"] for delivery in delivered if delivery.get("error")}
        for name, error in failed.items():
            yield finding(f"{name} did not accept the test from the notify function: {error}", "repair the destination")
        taken = [delivery["name"] for delivery in delivered if delivery["name"] not in failed]
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
        return proven(f"{name} accepted the test from the notify function")
    if arn.endswith(".fifo"):
        return unchecked(f"{name} accepted the test; subscribers of FIFO topics are not checked")
    if not arrived:
        return finding(
            f"{name} accepted the test, but it did not arrive at a new subscriber", "check the topic's policy"
        )
    return proven(f"{name} accepted the test from the notify function, and delivered it")


def _undelivered(account: Account, topics: Mapping[str, str], since: datetime) -> Iterator[Step]:
    """Yield a finding for each topic of which SNS counts failed deliveries since `since`."""
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
            yield finding(said, "check the topic's metric NumberOfNotificationsFailed, and its subscriptions")


def trigger_test_alarm(account: Account) -> Iterator[Step]:
    """Set an alarm to ALARM: its message must arrive through the topics of the monitor's own alarms.

    The alarm is reset afterwards; CloudWatch would reset it, too."""
    topics = account.alarm_topics
    began = account.application.clock.now()
    sender, trigger = _choose(stack_alarms(account), set(topics.values()))
    if not topics or sender is None:
        yield finding("no alarm sends to a topic of the stack's outputs", "deploy again")
        return
    if trigger is None:
        yield unchecked("every alarm that could be tested is in ALARM already", "check the dashboard")
        return
    with ExitStack() as cleanup:
        waiting = {name: cleanup.enter_context(temporary_queue(account, "alarm", arn)) for name, arn in topics.items()}
        yield Pause(_SUBSCRIBED)
        cleanup.enter_context(_set_to_alarm(account, trigger))
        end = account.timer.now() + _ARRIVES_WITHIN
        while waiting and account.timer.now() < end:
            for name, queue in list(waiting.items()):
                if any(_is_message_of(document, sender) for document in queue.receive(account)):
                    del waiting[name]
            if waiting:
                yield Pause(_LOOK_EVERY)
    for name in topics:
        said = f"{name}: alarm {trigger['AlarmName']} was set, and"
        if name in waiting:
            yield finding(f"{said} no message of {sender} arrived", "check the policies of the topic and of its key")
        else:
            yield proven(f"{said} the message of {sender} arrived")
    yield from _undelivered(account, topics, began)


Alarm = Mapping[str, Any]


def _is_message_of(document: Mapping[str, Any], alarm: str) -> bool:
    return document.get("AlarmName") == alarm and document.get("NewStateValue") == "ALARM"


def _choose(alarms: Mapping[str, Sequence[Alarm]], topics: set[str]) -> tuple[str | None, Alarm | None]:
    """Choose an alarm that sends to the topics, and the alarm to set: the same, or a part of a composite alarm.

    A composite alarm that is set directly may stay in that state. If its rule has an AND, it may need several parts.
    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html"""
    quiet = [alarm for alarm in alarms["MetricAlarms"] if alarm["StateValue"] != "ALARM"]
    parts: list[tuple[Alarm, Alarm]] = [
        (composite, part)
        for composite in sorted(alarms["CompositeAlarms"], key=lambda alarm: " AND " in alarm["AlarmRule"])
        for part in quiet
        if _has_part(composite["AlarmRule"], part)
    ]
    choices = [*parts, *((alarm, alarm) for alarm in quiet)]
    everything = (*alarms["CompositeAlarms"], *alarms["MetricAlarms"])
    sender_name = next((alarm["AlarmName"] for alarm in everything if _sends_to(alarm, topics)), None)
    for sender, trigger in choices:
        if _sends_to(sender, topics) and sender["StateValue"] != "ALARM":
            return sender["AlarmName"], trigger
    return sender_name, None


def _sends_to(alarm: Alarm, topics: set[str]) -> bool:
    return topics <= set(alarm.get("AlarmActions", ())) and bool(alarm.get("ActionsEnabled", True))


def _has_part(rule: str, part: Alarm) -> bool:
    """Return whether a composite alarm's rule has `ALARM(…)` of a part, by name or ARN, quoted or not."""
    names = "|".join(re.escape(name) for name in {part["AlarmName"], part.get("AlarmArn", part["AlarmName"])})
    return re.search(rf"(?<!NOT )\bALARM\([\"']?({names})[\"']?\)", rule) is not None


@contextmanager
def _set_to_alarm(account: Account, alarm: Alarm) -> Iterator[None]:
    def put(state: str) -> None:
        name = alarm["AlarmName"]
        account.call("cloudwatch", "set_alarm_state", AlarmName=name, StateValue=state, StateReason=ALARM_REASON)

    put("ALARM")
    try:
        yield
    finally:
        put(alarm["StateValue"])
