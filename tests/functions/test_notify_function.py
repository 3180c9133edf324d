import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from tests.contract.notifiers.server import Server, http
from tests.functions.conftest import NUMBERS
from wabawatch.application.notify import LEASE
from wabawatch.errors import ConfigurationError, StoreError

NOW = datetime.now(UTC).isoformat()
LOOK = {"wabawatch": "notify", "scheduled_at": NOW}
DOORBELL = {"Records": [{"eventID": "1", "eventName": "INSERT", "dynamodb": {"Keys": {}}}]}


@pytest.fixture
def switch():
    """A dead-man's switch that takes everything."""
    found = Server([http(200, b"OK")])
    yield found
    found.close()


@pytest.fixture
def blocked(function, simulator, capsys):
    """A fleet in which a number was just found blocked."""
    simulator.set(NUMBERS[0].id, status="BLOCKED", reasons=[141000])
    function("poll")({"wabawatch": "poll", "scheduled_at": NOW})
    capsys.readouterr()


@pytest.mark.usefixtures("blocked")
@pytest.mark.parametrize("event", [pytest.param(LOOK, id="the schedule"), pytest.param(DOORBELL, id="the stream")])
def test_what_is_pending_is_told_once_whoever_rings(function, event):
    notify = function("notify")
    first = notify(event)
    assert (first["opened"], first["sent"], first["failed"]) == (1, 1, 0)
    assert notify(event)["sent"] == 0
    assert "141000" in notify.text


@pytest.mark.usefixtures("blocked")
def test_the_metrics_show_open_incidents_failures_and_lag_and_name_nobody(function):
    notify = function("notify")
    notify(LOOK)
    found = notify.metrics()
    assert found.values["IncidentsOpen"] == [1]
    assert found.values["SecondsSinceCompleteRun"][0] >= 0
    assert found.values["DeliveriesFailed"] == found.values["OldestUndeliveredSeconds"] == [0]
    assert found.values.keys() == {
        "IncidentsOpen",
        "DeliveriesFailed",
        "OldestUndeliveredSeconds",
        "DeliveryLagSeconds",
        "SecondsSinceCompleteRun",
    }
    assert found.sets == {("deployment", "service")}
    assert found.dimensions == {"service": "notify", "deployment": "wabawatch-prod"}


def test_while_nothing_was_ever_read_the_fleet_counts_as_unread_since_the_first_round(function, monkeypatch):
    notify = function("notify")
    notify(LOOK)
    first = notify.metrics().values
    assert first.keys() == {
        "IncidentsOpen",
        "DeliveriesFailed",
        "OldestUndeliveredSeconds",
        "SecondsSinceCompleteRun",
    }
    assert first["SecondsSinceCompleteRun"][0] < 60
    later = timedelta(hours=1)
    monkeypatch.setattr("wabawatch.bootstrap.SystemClock.now", lambda _: datetime.now(UTC) + later)
    notify(LOOK, seconds_left=7200)
    assert notify.metrics().values["SecondsSinceCompleteRun"][0] >= 3600


def test_topics_that_reach_nobody_are_counted_each_minute_until_somebody_subscribes(function, monkeypatch):
    with mock_aws():
        sns = boto3.client("sns", "eu-central-1")
        arn = sns.create_topic(Name="monitor")["TopicArn"]
        notify = function("notify", WABAWATCH_MONITOR_TOPIC_ARNS=arn)
        notify(LOOK)
        assert "TopicsUnheard" not in notify.metrics().values
        later = timedelta(hours=2)
        monkeypatch.setattr("wabawatch.bootstrap.SystemClock.now", lambda _: datetime.now(UTC) + later)
        for notified in (True, False):
            notify = function("notify", WABAWATCH_MONITOR_TOPIC_ARNS=arn)
            notify(LOOK, seconds_left=9000)
            assert notify.metrics().values["TopicsUnheard"] == [1]
            assert ("The monitor's own alarms are not delivered" in notify.text) is notified


@pytest.mark.usefixtures("blocked")
def test_while_another_is_at_work_it_does_nothing_and_does_not_fail(function):
    notify = function("notify")
    store = notify.module.runtime.lambda_monitor().monitor.store
    assert store.acquire_lease(LEASE, "another", datetime.now(UTC), timedelta(minutes=1))
    assert notify(LOOK) == {"worked": False}
    assert notify.log[-1]["message"] == "another notify is at work"
    assert len(notify.text.splitlines()) == 1


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({}, id="empty"),
        pytest.param({"wabawatch": "poll", "scheduled_at": NOW}, id="of poll"),
        pytest.param({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}, id="of a queue"),
        pytest.param({"Records": []}, id="of no records"),
        pytest.param([], id="that is a list"),
    ],
)
def test_an_event_is_refused_with_one_clear_line(function, event):
    notify = function("notify")
    with pytest.raises(ConfigurationError, match="not an event of this function"):
        notify(event)
    (error,) = notify.errors()
    assert "not an event of this function" in error["reason"]
    assert len(notify.text.splitlines()) == 1


def test_state_that_cannot_be_reached_is_told_in_one_clear_line(function, tmp_path):
    (tmp_path / "state.db").mkdir()
    notify = function("notify")
    with pytest.raises(StoreError):
        notify(LOOK)
    (error,) = notify.errors()
    assert str(tmp_path / "state.db") in error["reason"]
    assert len(notify.text.splitlines()) == 1


@pytest.mark.parametrize(
    ("failure", "sent", "counted"),
    [
        pytest.param(None, ["/ping/start", "/ping"], [1], id="the work was done"),
        pytest.param("unauthorized", ["/ping/start", "/ping/fail"], [0], id="nothing could be read"),
    ],
)
def test_a_heartbeat_is_sent_and_counted_once_for_each_run(
    function, simulator, environment, switch, failure, sent, counted
):
    config = Path(environment["WABAWATCH_CONFIG"])
    config.write_text(json.dumps(json.loads(config.read_text()) | {"heartbeat": {"url": f"{switch.url}/ping"}}))
    if failure:
        simulator.set("*", failure=failure)
    function("poll")({"wabawatch": "poll", "scheduled_at": NOW})
    notify = function("notify")
    notify(LOOK)
    assert notify.metrics().values["Heartbeats"] == counted
    again = function("notify")
    again(LOOK)
    assert "Heartbeats" not in again.metrics().values
    assert [request.path for request in switch.requests] == sent


def test_the_templates_heartbeat_is_sent_where_the_configuration_names_none(function, switch, secrets_manager):
    secrets_manager.secrets["wabawatch/heartbeat"] = json.dumps({"url": f"{switch.url}/ping"})
    given = {"WABAWATCH_HEARTBEAT_SECRET": "wabawatch/heartbeat#url"}
    function("poll", **given)({"wabawatch": "poll", "scheduled_at": NOW})
    notify = function("notify", **given)
    notify(LOOK)
    assert notify.metrics().values["Heartbeats"] == [1]
    assert [request.path for request in switch.requests] == ["/ping/start", "/ping"]
