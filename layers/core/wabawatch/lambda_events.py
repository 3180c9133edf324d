"""What the Lambda functions share: their environment and their events, validated, and one use case for each.

Poll is started by EventBridge Scheduler. A fleet that fits one invocation is polled at once; a larger one is cut into
shards, one SQS message each, which come back to the same function. Notify is started by the table's stream and by a
schedule; what the stream's records say is not read, because the table knows better.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from wabawatch.application.poll import PollResult, PollTask
from wabawatch.bootstrap import Monitor, aws_client, build
from wabawatch.domain.coverage import oldest_first
from wabawatch.domain.sharding import SHARD_SIZE, shard_of
from wabawatch.errors import ConfigurationError, QueueError

if TYPE_CHECKING:
    from wabawatch.application.notify import NotifyResult
    from wabawatch.self_test import Purpose

MARGIN: Final = timedelta(seconds=20)
"""Left at the end of an invocation for answers under way, commits and the record of the run."""


E = TypeVar("E", bound="Tick | Look | SelfTest")

_OBJECTS: Final = 100_000
"""New ones after which Python looks for garbage. A start makes about as many, and they all stay: with Python's own
2,000 a tenth of a cold start went into looking through them, again and again."""


class Environment(msgspec.Struct, frozen=True):
    """The functions' settings, from the template."""

    state: str
    config: str | None = None
    shard_queue_url: str | None = None
    shard_size: int = SHARD_SIZE
    poll_interval: timedelta = timedelta(minutes=5)


class PollEvent(msgspec.Struct, frozen=True, tag_field="wabawatch", tag="poll"):
    """The schedule says: poll."""

    scheduled_at: datetime


class ShardMessage(msgspec.Struct, frozen=True, tag_field="wabawatch", tag="shard"):
    """A part of a fleet that is too large for one invocation."""

    run_id: str
    scheduled_at: datetime
    shard: int
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.shard < self.of:
            raise ValueError(f"shard {self.shard} of {self.of}")


class NotifyEvent(msgspec.Struct, frozen=True, tag_field="wabawatch", tag="notify"):
    """The schedule says: see whether anything is due."""

    scheduled_at: datetime


class SelfTest(msgspec.Struct, frozen=True, tag_field="wabawatch", tag="self-test", forbid_unknown_fields=True):
    """`wabawatch doctor --verify-aws` asks what the function can do. `deliver`: send a marked test, too."""

    deliver: bool = False


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Raises ConfigurationError that names the variable."""
    names = {
        "state": "WABAWATCH_STATE",
        "config": "WABAWATCH_CONFIG",
        "shard_queue_url": "WABAWATCH_SHARD_QUEUE_URL",
        "shard_size": "WABAWATCH_SHARD_SIZE",
    }
    given: dict[str, Any] = {field: variables[name] for field, name in names.items() if variables.get(name)}
    if "state" not in given:
        raise ConfigurationError("WABAWATCH_STATE is not set; the template sets it to dynamodb:TABLE")
    if variables.get("WABAWATCH_POLL_INTERVAL"):
        given["poll_interval"] = _interval(variables["WABAWATCH_POLL_INTERVAL"])
    try:
        return msgspec.convert(given, Environment, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"WABAWATCH_SHARD_SIZE: {error}") from error


def _interval(text: str) -> timedelta:
    """A schedule's `rate(5 minutes)`."""
    words = text.removeprefix("rate(").removesuffix(")").split()
    units = {"minute": 60, "hour": 3600, "day": 86_400}
    if len(words) == 2 and words[0].isdigit() and words[1].rstrip("s") in units:  # noqa: PLR2004 - a number and a unit
        return timedelta(seconds=int(words[0]) * units[words[1].rstrip("s")])
    raise ConfigurationError(f"WABAWATCH_POLL_INTERVAL is {text!r}; write rate(5 minutes)")


def is_self_test(event: object) -> bool:
    return isinstance(event, dict) and event.get("wabawatch") == "self-test"


def read_event(event: object, kinds: type[E]) -> E:
    """Raises ConfigurationError that says what came instead."""
    try:
        return msgspec.convert(event, kinds)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"not an event of this function: {error}") from error


def read_shard(body: object) -> ShardMessage:
    """Raises ConfigurationError that says what is wrong with the message."""
    try:
        return msgspec.json.decode(body if isinstance(body, str) else b"", type=ShardMessage)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigurationError(f"not a shard message: {error}") from error


class LambdaMonitor:
    """The application in a function: the same code as on one machine, a piece at a time."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        gc.set_threshold(_OBJECTS)
        self.environment = read_environment(variables)
        self.application: Monitor = build(
            self.environment.state, self.environment.config, variables, local_secrets=False
        )
        self.application.interval = self.environment.poll_interval
        if self.environment.shard_queue_url is not None:
            self.application.shard_size = self.environment.shard_size

    def poll(
        self, tick: PollEvent, until: datetime, *, begun: Callable[[str], None] = lambda _: None
    ) -> PollResult | int:
        """Poll the whole fleet, or send its shards to the queue: what was done, or how many shards were sent.

        The shard that was read longest ago goes first: where a run takes longer than the interval its last messages are
        dropped, and those must not be the same ones in every run. `begun` is called with the run's id before anything
        is read."""
        application = self.application
        run_id = application.new_run_id()
        begun(run_id)
        application.refresh()
        application.begin_heartbeat(run_id)
        of = application.shards
        application.forget_unwatched(of)
        application.poll.restate_added(run_id)
        if of == 1:
            targets = application.settings.targets
            return application.poll(PollTask(run_id, targets, until=until - MARGIN, interval=application.interval))
        order = oldest_first(application.store.coverages(), of)
        self._send([ShardMessage(run_id, tick.scheduled_at, shard, of) for shard in order])
        return of

    def poll_shard(
        self, shard: ShardMessage, until: datetime, *, receives: int = 1, begun: Callable[[str], None] = lambda _: None
    ) -> PollResult | None:
        """Poll one shard; None where a newer message does or did what this one asks for.

        `receives` is how often the message was received, this time included. At its first receive a message older than
        the interval is dropped, because the next run's is in the queue already: the queue can never grow longer than
        one run, at any interval. A later receive follows a failure, and comes after the visibility timeout of three
        minutes: at an interval of 1m each retry would be too old, so that a shard that always fails would never be
        seen in the dead letter queue; at 5m the third one would be. So a retry is judged by the table and not by its
        age: it is dropped where another run has read the shard since it was due, and tried otherwise. A later pass that
        failed as well read nothing, although it left its row."""
        begun(shard.run_id)
        application = self.application
        if receives > 1:
            if self._was_read_since(shard):
                return None
        elif application.clock.now() - shard.scheduled_at > self.environment.poll_interval:
            return None
        application.refresh()
        targets = [one for one in application.settings.targets if shard_of(one.id, shard.of) == shard.shard]
        return application.poll(
            PollTask(shard.run_id, targets, shard.shard, shard.of, until - MARGIN, application.interval)
        )

    def _was_read_since(self, shard: ShardMessage) -> bool:
        """Tell whether another run's pass over the shard has begun since, and asked every target with effect."""
        rows = self.application.store.coverages()
        row = next((row for row in rows if (row.shard, row.of) == (shard.shard, shard.of)), None)
        if row is None or row.skipped:
            return False
        return row.run_id != shard.run_id and row.started_at > shard.scheduled_at

    def notify(self, until: datetime) -> NotifyResult:
        """One round of notify. A configuration that cannot be read is told by the last good one."""
        trouble = self.application.refresh()
        return self.application.tell(trouble, until=until - MARGIN)

    def self_test(self, event: object, purpose: Purpose, until: datetime) -> dict[str, Any]:
        """What this function can do, under its own role; nothing is changed. Raises ConfigurationError for an event
        that is not understood."""
        from wabawatch.self_test import run_self_test  # noqa: PLC0415 - no run needs it

        wanted = read_event(event, SelfTest)
        if wanted.deliver and purpose != "notify":
            raise ConfigurationError("not an event of this function: only notify delivers")
        environment = self.environment
        found = run_self_test(
            self.application,
            purpose,
            environment.state,
            environment.shard_queue_url,
            until - MARGIN,
            deliver=wanted.deliver,
        )
        answer: dict[str, Any] = msgspec.to_builtins(found)
        return answer

    def _send(self, shards: list[ShardMessage]) -> None:
        """Raises QueueError where the queue did not take them all."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - a small fleet needs no queue

        queue = aws_client("sqs")
        for start in range(0, len(shards), 10):
            entries = [
                {"Id": str(one.shard), "MessageBody": msgspec.json.encode(one).decode()}
                for one in shards[start : start + 10]
            ]
            try:
                answer = queue.send_message_batch(QueueUrl=self.environment.shard_queue_url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                code = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
                raise QueueError(f"the shard queue took no messages ({code}); the next run tries again") from error
            if failed := answer.get("Failed"):
                raise QueueError(f"the shard queue refused {len(failed)} of {len(entries)} messages")
