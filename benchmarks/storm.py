"""What the largest outage costs: one APP that every number depends on is blocked, and recovers.

    python -m benchmarks.storm [TARGETS] [sqlite|dynamodb:ENDPOINT]

Each phase is a pass over the whole fleet and the rounds of notify after it, in one process, without a network: reports
are made in memory. The floor is the quiet pass, in which nothing changes. Printed are the CPU of this process as a
multiple of the floor's, the most memory so far, the calls to DynamoDB and the messages that were sent. DynamoDB must be
an emulator in a process of its own, so that its CPU is not counted.
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
from wabawatch.domain.health import AVAILABLE, BLOCKED, CALLING, MESSAGING, Entity, Observation, Reason, Report
from wabawatch.domain.notification import Advice, Notification, TargetInfo
from wabawatch.domain.policy import Policy
from wabawatch.domain.routing import Rules
from wabawatch.messages.notification import RenderContext

UNLINKED = Reason(141011, "App is not linked to the account.", "Ask your provider.")
CALLS: Counter[str] = Counter()


class Clock:
    """Five minutes later each time it is told so; a microsecond later each time it is asked."""

    at = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at


class Source:
    """Answers for every number: its own, its account's, its business's and the one app's health."""

    app = AVAILABLE

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def observe(
        self, targets: Sequence[Target], *, until: datetime | None, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Observation]:
        del until, stopped
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
    """Takes everything."""

    kind = "memory"

    def __init__(self) -> None:
        self.taken: list[Notification] = []

    def deliver(self, notification: Notification, thread: Mapping[str, str]) -> Receipt:
        self.taken.append(notification)
        return Receipt(dict(thread))


def open_store(where: str, folder: Path) -> Store:
    if where == "sqlite":
        return SqliteStore(folder / "state.db")
    import boto3  # noqa: PLC0415 - only where it is asked for
    from botocore.config import Config  # noqa: PLC0415

    from tests.template.template import table_shape  # noqa: PLC0415
    from wabawatch.adapters.stores.dynamodb import DynamoStore  # noqa: PLC0415

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
    return DynamoStore(client, "storm", timedelta(days=400))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    where = sys.argv[2] if len(sys.argv) > 2 else "sqlite"
    fleet = [Target(f"number-{place:06}", f"Number {place}", "env:KEY") for place in range(count)]
    clock, destination = Clock(), Destination()
    source, policy = Source(clock), Policy()
    audience = RenderContext({one.id: TargetInfo(one.id, one.name) for one in fleet}, lambda _: Advice(), "storm")
    floor = 0.0
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
            sent, began = len(destination.taken), process_time()
            poll(PollTask(f"run{number}", fleet))
            polled = process_time()
            while notify.run("benchmark", complete=True).more:
                pass
            ended = process_time()
            floor = ended - began if name == "quiet" else floor
            ratio = f"{(ended - began) / floor:5.2f} x quiet" if floor else ""
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            said = ", ".join(f"{one.kind} ({one.subject.affected_total})" for one in destination.taken[sent:])
            print(
                f"{name:12} poll {polled - began:6.2f} s, notify {ended - polled:6.2f} s of CPU {ratio:14}"
                f"{memory:5.0f} MB  {dict(CALLS) or ''} {said}"
            )
        store.close()


if __name__ == "__main__":
    main()
