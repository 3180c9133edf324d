"""The application as it is put together: its configuration in S3 or in a file, and what follows when that changes."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.application.fakes import PAYMENT, T0, FakeClock, FakeSource, phone, targets
from wabawatch import bootstrap
from wabawatch.adapters.config_source import S3ConfigSource
from wabawatch.adapters.stores.sqlite import SqliteStore
from wabawatch.application.config_reload import GOOD, FleetChanges
from wabawatch.application.poll import Poll, PollTask
from wabawatch.bootstrap import build, read_settings, remove
from wabawatch.domain.health import Observation
from wabawatch.domain.policy import Policy
from wabawatch.errors import ConfigurationError
from wabawatch.monitor import Monitor

PLACE = "s3://conf/config.json"
PARAMETERS = {
    "WABAWATCH_API_KEY_SECRET": "wabawatch/key",
    "WABAWATCH_ALERTS_TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:t",
}


def fleet(*ids, **sections):
    return json.dumps({"targets": [{"id": one, "api_key": f"ssm:/wabawatch/{one}"} for one in ids], **sections})


class Deployment:
    """A versioned bucket, a state, and processes that work on both."""

    def __init__(self, folder):
        self.folder = folder
        self.client = boto3.client("s3")
        self.client.create_bucket(Bucket="conf", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        self.client.put_bucket_versioning(Bucket="conf", VersioningConfiguration={"Status": "Enabled"})
        self.processes = []

    def process(self):
        self.processes.append(build(f"sqlite:{self.folder / 'state.db'}", PLACE, PARAMETERS))
        return self.processes[-1]

    def upload(self, text):
        self.client.put_object(Bucket="conf", Key="config.json", Body=text)

    def delete(self):
        self.client.delete_object(Bucket="conf", Key="config.json")


@pytest.fixture
def deployment(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        found = Deployment(tmp_path)
        yield found
        for one in found.processes:
            one.close()


def test_a_configuration_in_s3_gets_no_variable_or_file_of_who_reads_it(deployment):
    process = deployment.process()
    assert process.refresh() is None
    deployment.upload(json.dumps({"targets": [{"id": "a", "api_key": "env:WABAWATCH_API_KEY_SECRET"}]}))
    assert "variables and files are for a configuration on this machine" in process.refresh().detail
    assert ids(process) == ["number"]
    with pytest.raises(ConfigurationError, match="variables and files"):
        read_settings(PLACE, PARAMETERS)


def ids(application):
    return [target.id for target in application.settings.targets]


def test_the_first_bad_upload_over_a_deployment_by_parameters_stops_neither_old_nor_new_processes(deployment):
    warm = deployment.process()
    assert warm.refresh() is None
    deployment.upload("targets: []")
    for one in (warm, deployment.process()):
        assert "no target at all" in one.refresh().detail
        assert ids(one) == ["number"]


def test_a_surprise_while_reading_is_loud_in_old_and_new_processes_and_the_last_good_one_goes_on(
    deployment, monkeypatch
):
    deployment.upload(fleet("a"))
    warm = deployment.process()
    warm.refresh()

    def surprise(*_, **__):
        raise KeyError("hidden")

    deployment.upload(fleet("a", "b"))
    with monkeypatch.context() as patched:
        patched.setattr("wabawatch.config.loading.read_targets", surprise)
        for _ in range(2):
            assert "unexpected KeyError" in warm.refresh().detail
            assert "hidden" not in warm.refresh().detail
        assert ids(warm) == ["a"]
        with pytest.raises(ConfigurationError, match="unexpected KeyError"):
            deployment.process().refresh()
    assert ids(deployment.process()) == ["a", "b"]


def test_a_configuration_deleted_by_mistake_does_not_lose_the_fleet(deployment):
    deployment.upload(fleet("a", "b", "c"))
    warm = deployment.process()
    warm.refresh()
    deployment.delete()
    for one in (warm, deployment.process()):
        assert one.refresh().detail.startswith(f"{PLACE}: there is no such object; it was there")
        assert ids(one) == ["a", "b", "c"]
    deployment.upload(fleet("d"))
    assert warm.refresh() is None
    assert ids(warm) == ["d"]


def test_a_configuration_removed_on_purpose_leaves_the_parameters(deployment):
    deployment.upload(fleet("a", "b", "c"))
    warm = deployment.process()
    warm.refresh()
    remove(PLACE, warm.store)
    for one in (warm, deployment.process()):
        assert one.refresh() is None
        assert ids(one) == ["number"]
    assert warm.store.document(GOOD) == b"parameters"


def test_a_removal_that_dies_before_the_deletion_leaves_the_document_in_force(deployment, monkeypatch):
    deployment.upload(fleet("a"))
    warm = deployment.process()
    warm.refresh()

    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(S3ConfigSource, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            remove(PLACE, warm.store)
    for one in (warm, deployment.process()):
        assert one.refresh() is None
        assert ids(one) == ["a"]
    remove(PLACE, warm.store)
    assert warm.refresh() is None
    assert ids(warm) == ["number"]


def test_a_removal_that_s3_refuses_excuses_no_later_absence(deployment, monkeypatch):
    deployment.upload(fleet("a"))
    warm = deployment.process()
    warm.refresh()

    def refused(_):
        raise ConfigurationError("cannot be deleted")

    with monkeypatch.context() as patched:
        patched.setattr(S3ConfigSource, "delete", refused)
        with pytest.raises(ConfigurationError, match="cannot be deleted"):
            remove(PLACE, warm.store)
    deployment.delete()
    assert "it was there" in warm.refresh().detail


def test_one_look_that_s3_did_not_answer_is_no_news_and_leaves_no_trace(deployment):
    deployment.upload(fleet("a"))
    first, second = deployment.process(), deployment.process()
    first.refresh()
    client = first._config._origin._client

    def slow_down(_, **__):
        raise ClientError({"Error": {"Code": "503"}}, "HeadObject")

    client.meta.events.register("before-call.s3.HeadObject", slow_down, unique_id="slow")
    assert first.refresh() is None
    client.meta.events.unregister("before-call.s3.HeadObject", unique_id="slow")
    assert [one.refresh() for one in (first, second, first)] == [None] * 3


def test_a_file_that_vanished_is_told_after_some_looks_and_what_is_in_memory_goes_on(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(fleet("a"))
    state = f"sqlite:{tmp_path / 'state.db'}"
    application = build(state, str(path), {})
    application.refresh()
    path.unlink()
    assert [application.refresh() for _ in range(2)] == [None, None]
    assert "cannot be read (No such file or directory)" in application.refresh().detail
    assert ids(application) == ["a"]
    path.write_text(fleet("b"))
    assert application.refresh() is None
    assert ids(application) == ["b"]
    application.close()


def test_a_cold_start_without_its_file_is_one_clear_error(tmp_path):
    application = build(f"sqlite:{tmp_path / 'state.db'}", str(tmp_path / "fleet.yaml"), {})
    with pytest.raises(
        ConfigurationError, match=r"fleet\.yaml: cannot be read \(No such file or directory\); give its"
    ):
        application.refresh()
    application.close()


def test_a_runbook_by_codes_is_worked_by_and_its_change_is_another_version(tmp_path):
    path = tmp_path / "fleet.yaml"
    application = build(f"sqlite:{tmp_path / 'state.db'}", str(path), {})
    versions = []
    for action in ("Pay.", "Pay.", "Wait."):
        path.write_text(fleet("a", runbook={"141006": {"action": action}, "timeout": {"who": "us"}}))
        application.refresh()
        versions.append(application.rules.version)
    application.close()
    assert versions[0] == versions[1] != versions[2]


def test_settings_that_nothing_can_be_made_of_are_as_bad_as_a_text_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "fleet.yaml"
    path.write_text(fleet("a"))
    application = build(f"sqlite:{tmp_path / 'state.db'}", str(path), {})
    application.refresh()
    path.write_text(fleet("a", "b"))
    monkeypatch.setattr("wabawatch.bootstrap.Rules", lambda **_: "".index("x"))
    assert "unexpected ValueError" in application.refresh().detail
    assert ids(application) == ["a"]
    application.close()


# --- targets that left the configuration


class Watch:
    """Targets a and b, b blocked; both are read, then b leaves the configuration. Pollers share the state."""

    def __init__(self, folder):
        self.clock = FakeClock()
        self.path = folder / "fleet.yaml"
        self.state = f"sqlite:{folder / 'state.db'}"
        self.pollers = []
        self.configure("a", "b")
        self.poller().apply_targets()
        self.old_pass()

    def configure(self, *ids):
        self.path.write_text(fleet(*ids))

    def poller(self):
        self.pollers.append(build(self.state, str(self.path), {}, clock=self.clock))
        return self.pollers[-1]

    def old_pass(self):
        """A pass that began while b was configured."""
        source = FakeSource(self.clock)
        source.readings = {"b": phone("BLOCKED", PAYMENT)}
        Poll(self.pollers[0].store, source, self.clock, Policy()).run(PollTask("old", targets("a", "b")))

    def tick(self, *pollers, **length):
        self.clock.advance(**length)
        for one in pollers:
            one.refresh()
            one.apply_targets()

    @property
    def held(self):
        return {one.target for one in self.pollers[0].store.every_snapshot() if one.states} - {"~shard-0"}


@pytest.fixture
def watch(tmp_path):
    found = Watch(tmp_path)
    yield found
    for one in found.pollers:
        one.close()


def test_a_target_that_a_pass_under_way_brings_back_is_removed_again_after_the_longest_pass(watch):
    first, second = watch.pollers[0], watch.poller()
    watch.configure("a")
    watch.tick(first, second, minutes=1)
    assert watch.held == {"a"}
    watch.clock.advance(minutes=1)
    watch.old_pass()
    watch.tick(first, second, minutes=13)
    assert watch.held == {"a", "b"}
    watch.tick(second, first, minutes=1)
    assert watch.held == {"a"}


def test_the_removal_is_repeated_once_and_then_looks_at_nothing(watch, monkeypatch):
    looks = []
    monkeypatch.setattr(FleetChanges, "close_all_but", lambda *_, **__: looks.append(watch.clock.now()))
    first, second = watch.pollers[0], watch.poller()
    watch.configure("a")
    for _ in range(40):
        watch.tick(first, second, minutes=1)
    assert len(looks) == 2
    watch.configure("a", "c")
    watch.tick(second, minutes=1)
    watch.tick(first, minutes=14)
    assert len(looks) == 3
    watch.tick(first, second, minutes=1)
    assert len(looks) == 4


def test_the_removal_is_repeated_though_the_clock_was_set_back(watch):
    first = watch.pollers[0]
    watch.configure("a")
    watch.tick(first, minutes=1)
    watch.old_pass()
    watch.tick(first, hours=-5)
    watch.tick(first, minutes=15)
    assert watch.held == {"a"}


# --- how long history is kept


class Opened(SqliteStore):
    """Opened by the application, and what it was told to keep and to forget."""

    def __init__(self, path, history):
        super().__init__(path)
        self.history_kept, self.purged = history, []

    def purge(self, before):
        self.purged.append(before)
        return 7


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """The stores that an application opens, one after the other on one state."""
    stores = []

    def open_store(_, history):
        stores.append(Opened(tmp_path / "opened.db", history))
        return stores[-1]

    monkeypatch.setattr("wabawatch.bootstrap.open_store", open_store)
    yield stores
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("sections", "environment", "days"),
    [
        pytest.param({"history_days": 10}, {"WABAWATCH_HISTORY_DAYS": "30"}, 10, id="as the document says"),
        pytest.param({}, {"WABAWATCH_HISTORY_DAYS": "30"}, 30, id="else as the environment says"),
        pytest.param({"history_days": None}, {"WABAWATCH_HISTORY_DAYS": ""}, 400, id="else for 400 days"),
    ],
)
def test_history_is_kept(tmp_path, opened, sections, environment, days):
    (tmp_path / "fleet.yaml").write_text(fleet("a", **sections))
    application = build("dynamodb:t", str(tmp_path / "fleet.yaml"), environment)
    application.refresh()
    assert application.history == timedelta(days=days)
    assert application.store is opened[-1]
    assert opened[-1].history_kept == timedelta(days=days)


def test_a_number_of_days_that_is_none_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match="WABAWATCH_HISTORY_DAYS is 'often'; write a whole number of days"):
        _ = build(f"sqlite:{tmp_path / 'x.db'}", None, {"WABAWATCH_HISTORY_DAYS": "often"}).store


@pytest.mark.usefixtures("opened")
def test_history_is_forgotten_once_a_day_and_by_whoever_comes_first(tmp_path):
    clock = FakeClock()
    (tmp_path / "fleet.yaml").write_text(fleet("a", history_days=10))
    application = build("sqlite:x", str(tmp_path / "fleet.yaml"), {}, clock=clock)
    application.refresh()
    assert application.purge() == 7
    for _ in range(47):
        clock.advance(hours=1)
        application.purge()
    assert application.store.purged == [T0 - timedelta(days=10), T0 - timedelta(days=9)]


@pytest.mark.usefixtures("opened")
def test_a_history_that_is_kept_for_less_time_is_forgotten_week_by_week(tmp_path):
    clock = FakeClock()
    path = tmp_path / "fleet.yaml"
    application = build("sqlite:x", str(path), {}, clock=clock)
    for days in (30, 10, 30):
        path.write_text(fleet("a", history_days=days))
        application.refresh()
        for _ in range(5):
            application.purge()
    kept = [(T0 - before).days for before in application.store.purged]
    assert kept == [30, 23, 16, 10, 30]


def test_what_is_older_than_the_history_leaves_a_database(watch):
    application = watch.pollers[0]
    assert application.store.history()
    watch.clock.advance(days=401)
    application.notify(None)
    assert application.purge() > 0
    assert application.store.history() == []
    assert watch.held == {"a", "b"}


class SlowSource:
    """The first number is blocked; after the first hundred and twenty each answer takes twenty seconds."""

    def __init__(self, clock):
        self.clock = clock

    def observe(self, targets, *, until, should_stop=lambda: False):  # noqa: ARG002 - the port's signature
        for place, target in enumerate(targets):
            reading = phone() if place else phone("BLOCKED", PAYMENT)
            yield Observation(target.id, self.clock.now(), reading(target.id))
            self.clock.advance(seconds=20 * (place >= 120))


def test_during_a_long_pass_people_are_told_of_what_it_found_so_far(tmp_path, monkeypatch):
    clock, console, rounds = FakeClock(), io.StringIO(), []
    path = tmp_path / "fleet.json"
    path.write_text(fleet(*(f"n{number:03}" for number in range(130)), destinations={"c": {"kind": "console"}}))
    app = build(f"sqlite:{tmp_path / 'state.db'}", str(path), {}, console=console, clock=clock)
    monkeypatch.setattr(Monitor, "source", SlowSource(clock))
    app.run_cycle(on_notify=rounds.append)
    assert (rounds[0].opened, rounds[0].sent) == (1, 1)
    assert len(rounds) > 1
    assert console.getvalue().count("cannot send") == 1
    app.close()


def test_a_concurrency_that_the_process_cannot_hold_is_lowered_with_a_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(bootstrap, "lower_concurrency", lambda wanted: (wanted - 9_936, "fewer"))
    path = tmp_path / "fleet.json"
    path.write_text(fleet("a", source={"concurrency": 10_000}))
    app = build(f"sqlite:{tmp_path / 'state.db'}", str(path), {}, resolve=False)
    assert app.source._settings.concurrency == 64
    assert "fewer" in caplog.text
    app.close()
