"""The arithmetic of item collections, which a table with local indexes holds to 10 GB each, for ever.

Ten years of 100,000 numbers, one change for each number and week, every number read each minute, and one reading in a
hundred fails. The rows are those that poll and notify wrote into a table; how many of them come into one partition is
counted with the keys of the code. Nothing may come to a tenth of what DynamoDB holds.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from tests.application.fakes import FakeClock, FakeNotifier, FakeSource
from tests.contract.stores.builders import member_row
from tests.contract.stores.strict_client import INDEXES, StrictClient, size
from tests.moto_speed import copying_tables_once
from tests.template.template import table_shape
from wabawatch.adapters.stores.dynamodb import DynamoDBStore, keys
from wabawatch.application.notify import Notify
from wabawatch.application.poll import Poll, PollTask
from wabawatch.application.ports import FoldBatch, Target
from wabawatch.domain.coverage import DayCoverage, ShardCoverage
from wabawatch.domain.health import CALLING, MESSAGING, Entity, Failure, Reason, Report, TargetInfo
from wabawatch.domain.notification import Advice
from wabawatch.domain.policy import Policy
from wabawatch.domain.routing import Rules
from wabawatch.domain.sharding import BUCKETS, Run
from wabawatch.messages.notification import RenderContext

GB = 1_000_000_000
NUMBERS = 100_000
NAMES = [f"nordwind-support-{number:06}" for number in range(20_000)]
"""Enough of them to see how rows are spread."""
DAYS_OF_A_MONTH, WEEKS = 31, 522
CHANGES = DAYS_OF_A_MONTH / 7
"""Of a number, in a month."""
READINGS = 24 * 60
FAILURES = 0.01
OVERHEAD = 100
"""Bytes that DynamoDB adds to each item and to each entry of an index."""
MONTH = "2026-03"
AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SAMPLE = NAMES[:16]
FAILING = SAMPLE[:4]
UNPAID = Reason(
    141006,
    "There is an error with the payment method. This will block business-initiated conversations.",
    "There was an error with the payment method. Please add a new payment method to the account.",
)


def report(target: str, status: str) -> Report:
    """An answer as the API gives it; what is blocked is this number's own account."""
    number = target[-6:]
    reasons = (UNPAID,) if status != "AVAILABLE" else ()
    return Report(
        (
            Entity("PHONE_NUMBER", f"105954558{number}", {MESSAGING: "AVAILABLE", CALLING: "AVAILABLE"}),
            Entity("WABA", f"102290129{number}", {MESSAGING: status, CALLING: "AVAILABLE"}, reasons),
            Entity("BUSINESS", f"272906349{number}", {MESSAGING: "AVAILABLE", CALLING: "AVAILABLE"}),
            Entity("APP", "670843887433847", {MESSAGING: "AVAILABLE", CALLING: "AVAILABLE"}),
        ),
        {MESSAGING: status},
    )


class Monitor:
    """Poll and notify over a sample of the fleet, and how many bytes they left in the partitions of each kind."""

    def __init__(self, store: DynamoDBStore, client: StrictClient, table: str) -> None:
        self.store, self._client, self._table = store, client, table
        self.clock = FakeClock(AT)
        self.source = FakeSource(self.clock)
        self.fleet = [Target(name, f"Support {name}", "ssm:key") for name in SAMPLE]
        rules = Rules(Policy(), version="1")
        audience = RenderContext(
            {one.id: TargetInfo(one.id, one.name) for one in self.fleet}, lambda _: Advice(), "prod"
        )
        self.poll = Poll(store, self.source, self.clock, rules.policy)
        self.notify = Notify(store, {"ops": FakeNotifier(), "team": FakeNotifier()}, self.clock, rules, audience)
        self.passes = 0

    def reads(self, *outcomes: str | Failure) -> None:
        """A pass for each outcome, and notify after it. A report is everybody's; a failure only FAILING have,
        because most at once would be the monitor's own trouble."""
        for outcome in outcomes:
            self.clock.advance(minutes=5)
            self.passes += 1
            is_failure = isinstance(outcome, Failure)
            status = "AVAILABLE" if is_failure else outcome
            self.source.readings = dict.fromkeys(SAMPLE, lambda target, status=status: report(target, status))
            if is_failure:
                self.source.readings |= dict.fromkeys(FAILING, lambda _, failure=outcome: failure)
            self.poll.run(PollTask(f"20260302T100000Z-{self.passes:06x}", self.fleet))
            self.notify.run("prover", complete=True)

    def bytes_of(self, *kinds: str) -> float:
        """What the rows of a kind take in their collections, for each number of the sample."""
        rows = self._client.rows(self._table, *kinds)
        return sum(map(collection_bytes, rows)) / len(SAMPLE)


def collection_bytes(row: Mapping[str, object]) -> int:
    """An item and its copies in the indexes."""
    return (size(row) + OVERHEAD) * (1 + sum(index in row for index in INDEXES))


def share(partitions: Iterable[str]) -> float:
    """The part of all rows that is in the fullest partition."""
    counts = Counter(partitions)
    return max(counts.values()) / counts.total()


@pytest.fixture(scope="module")
def collections() -> dict[str, float]:
    """By kind of row: the bytes of the fullest collection."""
    with mock_aws(), copying_tables_once():
        client = StrictClient(boto3.client("dynamodb", "eu-central-1"))
        table = uuid.uuid4().hex
        client.create_table(TableName=table, **table_shape())
        store = DynamoDBStore(client, table, timedelta(days=3650))
        yield measured(Monitor(store, client, table))
        store.close()


def measured(monitor: Monitor) -> dict[str, float]:
    monitor.reads("AVAILABLE")
    found = {"snapshots": monitor.bytes_of("SNAP") * NUMBERS * share(keys.snapshot_key(name)[0] for name in NAMES)}
    monitor.reads("BLOCKED")
    ids = [f"{number:011x}" for number in range(len(NAMES))]
    found["live incidents"] = monitor.bytes_of("LIVE") * NUMBERS * share(keys.live_key(name)[0] for name in ids)
    monitor.reads("AVAILABLE", "AVAILABLE")
    log = share(keys.log_key(name, AT)[0] for name in NAMES) * NUMBERS
    two_changes = monitor.bytes_of("LOG")
    done = share(keys.done_key(name, MONTH)[0] for name in ids) * NUMBERS
    found["done incidents"] = monitor.bytes_of("DONE") * CHANGES / 2 * done
    pointers = share(keys.latest_key(("WABA", name, MESSAGING))[0] for name in NAMES)
    found["latest incidents, each change of another entity"] = (
        monitor.bytes_of("LATEST") * WEEKS / 2 * NUMBERS * pointers
    )
    monitor.reads(Failure("timeout", "no answer within 10 s"), "AVAILABLE")
    failure = (monitor.bytes_of("LOG") - two_changes) * len(SAMPLE) / len(FAILING)
    assert failure, "a failed reading is in the log"
    found["log"] = (two_changes * CHANGES / 2 + failure * FAILURES * READINGS * DAYS_OF_A_MONTH) * log
    return found | of_the_fleet(monitor)


def of_the_fleet(monitor: Monitor) -> dict[str, float]:
    """Rows that are not of one number."""
    store, at = monitor.store, monitor.clock.now()
    of, mine = BUCKETS, NAMES[: NUMBERS // BUCKETS]
    before = {kind: monitor.bytes_of(kind) for kind in ("RUN", "DAY", "COVERAGE", "MEMBER")}

    def added(kind: str) -> float:
        return (monitor.bytes_of(kind) - before[kind]) * len(SAMPLE)

    store.save_run(
        Run(
            "20260302T100000Z-a1b2c3", 1, of, at, at + timedelta(seconds=40), len(mine), 3000, 31, 94, 20, 90, 2, False,
            mine[0], {"timeout": 20, "provider_error": 8, "throttled": 3},
            {"AVAILABLE": 2900, "LIMITED": 60, "BLOCKED": 40},
            {141000 + number: 3 + number for number in range(20)}, 0, timedelta(minutes=1),
        )
    )  # fmt: skip
    # two failures in a row leave a gap, which is kept: so many in a day
    twice = mine[: round(len(mine) * READINGS * FAILURES**2)]
    store.save_day(
        DayCoverage(date(2026, 3, 2), 1, of, timedelta(hours=24), dict.fromkeys(twice, timedelta(minutes=1)))
    )
    unread = dict.fromkeys(mine[:: round(1 / FAILURES)], at)
    store.save_coverage(
        ShardCoverage(1, of, "20260302T100000Z-a1b2c3", at, at, timedelta(minutes=1), len(mine), unread)
    )
    store.fold(FoldBatch((), members=tuple(member_row("1f2e3d4c5b6", name) for name in SAMPLE)))
    members = share(keys.member_key("1f2e3d4c5b6", name)[0] for name in NAMES)
    return {
        "runs": added("RUN") * of * READINGS * DAYS_OF_A_MONTH,
        "day coverage": added("DAY") * of * 366,
        "shard coverage": added("COVERAGE") * of,
        "members of one incident": added("MEMBER") / len(SAMPLE) * NUMBERS * members,
    }


def test_no_item_collection_of_a_large_fleet_comes_near_to_what_dynamodb_holds(collections):
    notified = "\n".join(f"{kind:50} {bytes_ / GB:8.3f} GB" for kind, bytes_ in sorted(collections.items()))
    assert max(collections.values()) < GB, notified
