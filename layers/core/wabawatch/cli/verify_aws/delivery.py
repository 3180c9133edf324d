"""Checks from end to end."""

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
"""What Python calls the processor that Lambda calls so."""
_REPORT: Final = re.compile(r"\bDuration: ([\d.]+) ms\s+Billed .*Init Duration: ([\d.]+) ms", re.DOTALL)
_LOOK_BACK: Final = timedelta(days=1)
_LONGEST_INIT: Final = 5_000.0
"""Milliseconds. After ten seconds Lambda starts the function anew, within its own time-out."""


def ask_function(account: Account, purpose: str, **more: bool) -> Mapping[str, Any] | Step:
    """The answer of a function to a self-test; a finding where it failed."""
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
    """Native libraries, processor, and what each role may do, in a real invocation of each function."""
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
        errors = [one for one in answer["tried"] if one.get("error")]
        for one in errors:
            yield finding(f"{purpose}: {one['name']}: {one['error']}", "allow it in the template's role, or correct it")
        if not errors:
            yield _well(purpose, answer)


def _well(purpose: str, answer: Mapping[str, Any]) -> Step:
    versions = ", ".join(f"{name} {version}" for name, version in answer["versions"].items())
    read, of = answer["secrets"], answer["secrets_in_all"]
    some = f"{read} of {pluralize(of, 'secret')}" if read < of else pluralize(of, "secret")
    return proven(f"{purpose} runs on {answer['architecture']} and can do what it needs, {some} read; {versions}")


def cold_start(account: Account) -> Iterator[Step]:
    """What Lambda itself measured at the latest cold start of each function."""
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
            yield unchecked(f"{purpose} had no cold start in the last day", "verify again after a deployment")
            continue
        first, init = float(found[-1][1]), float(found[-1][2])
        said = f"{purpose} started in {init / 1000:.2f} s, and answered its first event in {first / 1000:.2f} s"
        yield (
            proven(said) if init < _LONGEST_INIT else finding(said, "Lambda allows 10 s: is the bytecode in the layer?")
        )


ALARM_REASON: Final = "A test by `wabawatch doctor --verify-aws`: nothing is wrong"
_ARRIVES_WITHIN: Final = 300.0
_COUNTED_AFTER: Final = 240.0
"""Seconds after which CloudWatch shows SNS's counts."""


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
