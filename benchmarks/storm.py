"""Measure the largest outage: an APP that every number depends on is blocked, and recovers.

    python -m benchmarks.storm [TARGETS] [sqlite|dynamodb:ENDPOINT]

Each phase is a pass over the whole fleet and the runs of notify after it, in one process, without a network: reports
come from memory. The baseline is the quiet pass, in which nothing changes. The output is the CPU time of this process
as a multiple of the baseline, the peak memory, the calls to DynamoDB and the notifications. DynamoDB must be an
emulator in another process, so that its CPU time is not included.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.application.notify import Notify
from wabawatch.application.poll import Poll, PollTask
from wabawatch.application.ports import Receipt, Store, Target
from wabawatch.domain.health import (
    AVAILABLE,
    BLOCKED,
    CALLING,
    MESSAGING,
    Entity,
    Observation,
    Reason,
    Report,
    TargetInfo,
)
from wabawatch.domain.notification import Advice, Notification
from wabawatch.domain.policy import Policy
from wabawatch.domain.routing import Rules
from wabawatch.messages.notification import RenderContext

UNLINKED = Reason(141011, "App is not linked to the account.", "Ask your provider.")
CALLS: Counter[str] = Counter()


class Clock:
    """Advances by a microsecond at each reading; `main` advances it by five minutes."""

    at = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at


class Source:
    """Returns a report for every number: with its account, its business and the app that all share."""

    app = AVAILABLE

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def observe(
        self, targets: Sequence[Target], *, until: datetime | None, should_stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Observation]:
        del until, should_stop
        both = {MESSAGING: AVAILABLE, CALLING: AVAILABLE}
        reasons = (UNLINKED,) if self.app == BLOCKED else ()
        for target in targets:
            number = target.id.rpartition("-")[2]
            entities = (
                Entity("PHONE_NUMBER", f"1059{number}", both),
                Entity("WABA", f"1022{number}", {MESSAGING: AVAILABLE}),
                Entity("BUSINESS", f"2729{number[:-1]}", {MESSAGING: AVAILABLE}),
                Entity("APP", "670843887433847", {MESSAGING: self.app, CALLING: AVAILABLE}, reasons),
            )
            yield Observation(target.id, self._clock.now(), Report(entities, {MESSAGING: self.app}))


class Destination:
    """Accepts every notification."""

    kind = "memory"

    def __init__(self) -> None:
        self.notifications: list[Notification] = []

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        self.notifications.append(notification)
        return Receipt(dict(thread))


def open_store(where: str, folder: Path) -> Store:
    if where == "sqlite":
        return SqliteStore(folder / "state.db")
    import boto3  # noqa: PLC0415 - only where it is asked for
    from botocore.config import Config  # noqa: PLC0415

    from tests.template.template import table_shape  # noqa: PLC0415
    from wabawatch.adapters.stores.dynamodb import DynamoDBStore  # noqa: PLC0415

    endpoint = where.partition(":")[2]
    client = boto3.client(
        "dynamodb",
        "eu-central-1",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(parameter_validation=False),
    )
    client.create_table(TableName="storm", **table_shape())
    client.meta.events.register("before-call", lambda model, **_: CALLS.update([model.name]))
    return DynamoDBStore(client, "storm", timedelta(days=400))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    where = sys.argv[2] if len(sys.argv) > 2 else "sqlite"
    fleet = [Target(f"number-{place:06}", f"Number {place}", "env:KEY") for place in range(count)]
    clock, destination = Clock(), Destination()
    source, policy = Source(clock), Policy()
    audience = RenderContext(
        {target.id: TargetInfo(target.id, target.name) for target in fleet}, lambda _: Advice(), "storm"
    )
    baseline = 0.0
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(where, Path(folder))
        poll = Poll(store, source, clock, policy)
        notify = Notify(store, {"ops": destination}, clock, Rules(policy, version="1"), audience)
        print(f"{count} numbers of one app, {where.partition(':')[0]}")
        phases = [("first pass", AVAILABLE), ("quiet", AVAILABLE), ("storm", BLOCKED), ("quiet storm", BLOCKED),
                  ("recovering", AVAILABLE), ("recovered", AVAILABLE), ("quiet again", AVAILABLE)]  # fmt: skip
        for number, (name, source.app) in enumerate(phases):
            clock.at += timedelta(minutes=5)
            CALLS.clear()
            sent, started = len(destination.notifications), process_time()
            poll.run(PollTask(f"run{number}", fleet))
            polled = process_time()
            while notify.run("benchmark", complete=True).more:
                pass
            ended = process_time()
            baseline = ended - started if name == "quiet" else baseline
            ratio = f"{(ended - started) / baseline:5.2f} x quiet" if baseline else ""
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            texts = [f"{each.kind} ({each.subject.affected_total})" for each in destination.notifications[sent:]]
            print(
                f"{name:12} poll {polled - started:6.2f} s, notify {ended - polled:6.2f} s of CPU {ratio:14}"
                f"{memory:5.0f} MB  {dict(CALLS) or ''} {', '.join(texts)}"
            )
        store.close()


if __name__ == "__main__":
    main()
