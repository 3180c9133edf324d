"""The events and the environment of the Lambda functions, validated, and the work of one invocation.

EventBridge Scheduler starts poll. A fleet that fits one invocation is polled at once; a larger one is divided into
shards, one SQS message each, which start the same function. The table's stream and a schedule start notify, which reads
pending changes from the table and nothing from the stream's records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from wabawatch.adapters.aws import aws_client
from wabawatch.application.poll import DEFAULT_INTERVAL, PollResult, PollTask
from wabawatch.bootstrap import build
from wabawatch.config.scalars import parse_duration
from wabawatch.domain.coverage import oldest_first
from wabawatch.domain.sharding import SHARD_SIZE, shard_of
from wabawatch.errors import ConfigurationError, QueueError

if TYPE_CHECKING:
    from wabawatch.application.notify import NotifyResult
    from wabawatch.self_test import Purpose

MARGIN: Final = timedelta(seconds=20)
"""Left at the end of an invocation for answers under way, commits and the record of the run."""


E = TypeVar("E", bound="PollEvent | NotifyEvent | SelfTest")


class Environment(msgspec.Struct, frozen=True):
    """The functions' settings, from the template."""

    state: str
    config: str | None = None
    shard_queue_url: str | None = None
    shard_size: int = SHARD_SIZE
    poll_interval: timedelta = DEFAULT_INTERVAL


class PollEvent(msgspec.Struct, frozen=True, tag_field="wabawatch", tag="poll"):
    """The schedule starts a run."""

    scheduled_at: datetime


class ShardMessage(msgspec.Struct, frozen=True, tag_field="wabawatch", tag="shard"):
    """One shard of a run over a large fleet."""

    run_id: str
    scheduled_at: datetime
    shard: int
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.shard < self.of:
            raise ValueError(f"shard {self.shard} of {self.of}")


class NotifyEvent(msgspec.Struct, frozen=True, tag_field="wabawatch", tag="notify"):
    """The schedule starts a round of notify."""

    scheduled_at: datetime


class SelfTest(msgspec.Struct, frozen=True, tag_field="wabawatch", tag="self-test", forbid_unknown_fields=True):
    """`wabawatch doctor --verify-aws` asks what the function can do. `deliver`: also send a marked test."""

    deliver: bool = False


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Read the environment. Raises ConfigurationError that names the variable."""
    names = {
        "state": "WABAWATCH_STATE",
        "config": "WABAWATCH_CONFIG",
        "shard_queue_url": "WABAWATCH_SHARD_QUEUE_URL",
        "shard_size": "WABAWATCH_SHARD_SIZE",
    }
    given: dict[str, Any] = {field: variables[name] for field, name in names.items() if variables.get(name)}
    if "state" not in given:
        raise ConfigurationError("WABAWATCH_STATE is not set; the template sets it to dynamodb:TABLE")
    if text := variables.get("WABAWATCH_POLL_INTERVAL"):
        given["poll_interval"] = _read_interval(text)
    try:
        return msgspec.convert(given, Environment, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"WABAWATCH_SHARD_SIZE: {error}") from error


def _read_interval(text: str) -> timedelta:
    """Read the time between two passes, written as in the CLI (`5m`)."""
    try:
        interval = parse_duration(text)
    except ValueError:
        interval = timedelta(0)
    if not interval:
        raise ConfigurationError(f"WABAWATCH_POLL_INTERVAL is {text!r}; write a duration such as 5m")
    return interval


def is_self_test(event: object) -> bool:
    return isinstance(event, dict) and event.get("wabawatch") == "self-test"


def read_event(event: object, kinds: type[E]) -> E:
    """Validate an event. Raises ConfigurationError that says what came instead."""
    try:
        return msgspec.convert(event, kinds)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"not an event of this function: {error}") from error


def read_shard(body: object) -> ShardMessage:
    """Validate a shard message. Raises ConfigurationError that says what is wrong with it."""
    try:
        return msgspec.json.decode(body if isinstance(body, str) else b"", type=ShardMessage)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigurationError(f"not a shard message: {error}") from error


class LambdaMonitor:
    """The monitor in a function: each invocation does one part of the work."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.environment = environment = read_environment(variables)
        self.monitor = build(
            environment.state,
            environment.config,
            variables,
            interval=environment.poll_interval,
            shard_size=None if environment.shard_queue_url is None else environment.shard_size,
            local_secrets=False,
        )

    def poll(
        self, event: PollEvent, until: datetime, *, on_start: Callable[[str], None] = lambda _: None
    ) -> PollResult | int:
        """Poll the whole fleet, or send its shards to the queue; return the result, or how many shards were sent.

        The shard that was read longest ago is sent first. Where a run takes longer than the interval, its last messages
        are dropped, and those must not be the same ones in every run. `on_start` is called with the run's id before
        anything is read."""
        monitor = self.monitor
        run_id = monitor.new_run_id()
        on_start(run_id)
        monitor.refresh()
        monitor.begin_run(run_id)
        of = monitor.shards
        if of == 1:
            return monitor.poll(
                PollTask(run_id, monitor.settings.targets, until=until - MARGIN, interval=monitor.interval)
            )
        order = oldest_first(monitor.store.coverages(), of)
        self._send([ShardMessage(run_id, event.scheduled_at, shard, of) for shard in order])
        return of

    def poll_shard(
        self,
        message: ShardMessage,
        until: datetime,
        *,
        receives: int = 1,
        on_start: Callable[[str], None] = lambda _: None,
    ) -> PollResult | None:
        """Poll one shard; return None where a newer run reads it or has read it.

        `receives` is how often the message was received, this time included. At its first receive, a message older than
        the interval is dropped, because the next run's message is in the queue already: so the queue never grows longer
        than one run.

        A later receive follows a failure, after the visibility timeout of three minutes. By its age each retry would be
        dropped at an interval of 1m (the third one at 5m), and a shard that always fails would never reach the dead
        letter queue. So a retry is dropped only where another run has read the shard since it was due. A later pass
        that failed as well read nothing, although it left its row."""
        on_start(message.run_id)
        monitor = self.monitor
        if receives > 1:
            if self._was_read_since(message):
                return None
        elif monitor.clock.now() - message.scheduled_at > monitor.interval:
            return None
        monitor.refresh()
        shard, of = message.shard, message.of
        targets = [target for target in monitor.settings.targets if shard_of(target.id, of) == shard]
        return monitor.poll(
            PollTask(
                run_id=message.run_id,
                targets=targets,
                shard=shard,
                of=of,
                until=until - MARGIN,
                interval=monitor.interval,
            )
        )

    def notify(self, until: datetime) -> NotifyResult:
        """Run one round of notify. A configuration that cannot be read is reported by the last good one."""
        trouble = self.monitor.refresh()
        return self.monitor.notify(trouble, until=until - MARGIN)

    def self_test(self, event: object, purpose: Purpose, until: datetime) -> dict[str, Any]:
        """Return what this function can do under its own role; change nothing. Raises ConfigurationError for an event
        that is not understood."""
        from wabawatch.self_test import run_self_test  # noqa: PLC0415 - no run needs it

        wanted = read_event(event, SelfTest)
        if wanted.deliver and purpose != "notify":
            raise ConfigurationError("not an event of this function: only notify delivers")
        report = run_self_test(
            self.monitor,
            purpose,
            state=self.environment.state,
            queue_url=self.environment.shard_queue_url,
            until=until - MARGIN,
            deliver=wanted.deliver,
        )
        answer: dict[str, Any] = msgspec.to_builtins(report)
        return answer

    def _was_read_since(self, message: ShardMessage) -> bool:
        """Return whether another run's pass over the shard has begun since, and read every target."""
        rows = self.monitor.store.coverages()
        row = next((row for row in rows if (row.shard, row.of) == (message.shard, message.of)), None)
        if row is None or row.skipped:
            return False
        return row.run_id != message.run_id and row.started_at > message.scheduled_at

    def _send(self, messages: list[ShardMessage]) -> None:
        """Raises QueueError where the queue did not accept them all."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - a small fleet needs no queue

        queue = aws_client("sqs")
        for start in range(0, len(messages), 10):
            entries = [
                {"Id": str(message.shard), "MessageBody": msgspec.json.encode(message).decode()}
                for message in messages[start : start + 10]
            ]
            try:
                answer = queue.send_message_batch(QueueUrl=self.environment.shard_queue_url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                code = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
                raise QueueError(f"the shard queue took no messages ({code}); the next run tries again") from error
            if failed := answer.get("Failed"):
                raise QueueError(f"the shard queue refused {len(failed)} of {len(entries)} messages")
