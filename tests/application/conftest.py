import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

import boto3
import msgspec
import pytest
from moto import mock_aws

from tests.application.fakes import FakeClock, FakeNotifier, FakeSource, targets
from tests.moto_speed import copying_tables_once
from tests.template.template import table_shape
from wabawatch.adapters.stores.dynamodb import DynamoDBStore
from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.application.config_reload import FleetChanges
from wabawatch.application.notify import Notify
from wabawatch.application.poll import Poll, PollTask
from wabawatch.domain.health import TargetInfo
from wabawatch.domain.notification import Advice
from wabawatch.domain.policy import Policy
from wabawatch.domain.routing import Rules
from wabawatch.messages.notification import RenderContext

STORES = ["sqlite", "dynamodb"]


@contextmanager
def fresh_store(kind, folder):
    """An empty store: a file, or a table as the template makes it. Tables need `aws`."""
    if kind == "sqlite":
        opened = SqliteStore(folder / f"{uuid.uuid4().hex}.db")
        opened._database._connection.execute("PRAGMA synchronous = OFF")  # no test pulls the plug
    else:
        client = dynamodb_client()
        table = client.create_table(TableName=uuid.uuid4().hex, **table_shape())["TableDescription"]["TableName"]
        opened = DynamoDBStore(client, table, timedelta(days=400))
    with closing(opened):
        yield opened


@cache
def dynamodb_client():
    return boto3.client("dynamodb", "eu-central-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture(scope="module")
def aws():
    with mock_aws(), copying_tables_once():
        yield


@dataclass
class Stage:
    """A fleet, its readings, its destinations, and the two use cases on one store. Rules are those of the default
    policy; a cycle is a pass and a round of notify, a minute after the one before."""

    store: object
    clock: FakeClock = field(default_factory=FakeClock)
    fleet: list = field(default_factory=lambda: targets("n1"))
    destinations: dict = field(default_factory=dict)
    alarm_topics: list = field(default_factory=list)
    policy: Policy = field(default_factory=Policy)
    rules: Rules | None = None
    passes: int = 0

    def __post_init__(self):
        self.source = FakeSource(self.clock)
        self.destinations = self.destinations or {"ops": FakeNotifier()}
        self.rules = self.rules or Rules(self.policy, version="1")

    @property
    def ops(self):
        return self.destinations["ops"]

    def says(self, *readings):
        """What the numbers answer from now on, in the order of the fleet; one reading alone is everybody's."""
        given = readings if len(readings) > 1 else readings * len(self.fleet)
        self.source.readings = {target.id: reading for target, reading in zip(self.fleet, given, strict=True)}

    def poll(self, *, store=None, **fields):
        self.passes += 1
        poll = Poll(store or self.store, self.source, self.clock, self.policy)
        return poll.run(PollTask(f"run{self.passes}", self.fleet, **fields))

    def poll_until(self, asked):
        """A pass that is stopped after the source was asked so many times in all."""
        poll = Poll(self.store, self.source, self.clock, self.policy)
        return poll.run(PollTask("stopped", self.fleet), should_stop=lambda: len(self.source.asked) >= asked)

    def forget(self):
        return FleetChanges(self.store, self.clock, self.policy).close_all_but(one.id for one in self.fleet)

    def notify(self, *, store=None, owner="me", **options):
        return self._notify(store).run(owner, **options)

    def explain(self, incident):
        return self._notify().explain(incident)

    def _notify(self, store=None):
        shown = {one.id: TargetInfo(one.id, one.name, one.labels) for one in self.fleet}
        audience = RenderContext(shown, lambda _: Advice(), "test")
        return Notify(
            store or self.store, self.destinations, self.clock, self.rules, audience, alarm_topics=self.alarm_topics
        )

    def cycle(self, times=1, *, minutes=1):
        for _ in range(times):
            self.clock.advance(minutes=minutes)
            self.poll()
            notified = self.notify(complete=True)
        return notified

    def ruled(self, **fields):
        """Another configuration."""
        self.rules = msgspec.structs.replace(self.rules, version=f"{self.rules.version}+", **fields)

    def incidents(self):
        return self.store.incidents(100_000)


@pytest.fixture(params=STORES)
def store(request, tmp_path, aws):  # noqa: ARG001 - tables need it
    with fresh_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def stage(store):
    return Stage(store)


@pytest.fixture
def local(tmp_path):
    """A stage on SQLite alone, for what no store makes a difference to."""
    with fresh_store("sqlite", tmp_path) as opened:
        yield Stage(opened)
