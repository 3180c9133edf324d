import json
import re

import pytest

from tests.template.template import resources, template
from wabawatch.adapters.descriptors import ON_LAMBDA, connection_limit

ALARMS = resources("AWS::CloudWatch::Alarm")
POLL_TIMEOUT_MS = resources("AWS::Serverless::Function")["PollFunction"]["Timeout"] * 1000


def dashboard_text():
    (board,) = resources("AWS::CloudWatch::Dashboard").values()
    text, variables = board["DashboardBody"]["Fn::Sub"]
    assert set(variables) == {"Every"}
    return text


def dashboard():
    return json.loads(re.sub(r"\$\{[^}]+\}", "x", dashboard_text().replace("${Every}", "300")))


def own_metrics():
    """What the dashboard and the alarms watch that AWS does not count itself, and that is there every day."""
    alarms = {one["MetricName"] for one in ALARMS.values() if one["Namespace"] == "Wabawatch"}
    return alarms | set(re.findall(r'"Wabawatch", "(\w+)"', dashboard_text()))


@pytest.mark.parametrize(
    ("alarm", "metric"),
    [
        pytest.param("NoRunAlarm", "SecondsSinceCompleteRun", id="the age of the last complete run"),
        pytest.param("ShardsDroppedAlarm", "ShardsDropped", id="shards that waited too long"),
        pytest.param("UnknownShareAlarm", "UnknownShare", id="unknown share high"),
        pytest.param("UndeliveredAlarm", "OldestUndeliveredSeconds", id="oldest undelivered notification"),
        pytest.param("PollErrorsAlarm", "Errors", id="poll errors"),
        pytest.param("PollThrottlesAlarm", "Throttles", id="poll throttles"),
        pytest.param("PollNearTimeoutAlarm", "Duration", id="run close to its timeout"),
        pytest.param("NotifyErrorsAlarm", "Errors", id="notify errors"),
        pytest.param("NotifyThrottlesAlarm", "Throttles", id="notify throttles"),
    ],
)
def test_there_is_an_alarm_on(alarm, metric):
    assert ALARMS[alarm]["MetricName"] == metric


@pytest.mark.parametrize("queue", ["ShardDeadLetterQueue", "ScheduleDeadLetterQueue", "FailedEventQueue"])
def test_a_message_in_a_dead_letter_queue_raises_an_alarm(queue):
    watched = [one["Dimensions"][0]["Value"] for one in ALARMS.values() if one["Namespace"] == "AWS/SQS"]
    assert {"Fn::GetAtt": f"{queue}.QueueName"} in watched


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_tells_the_monitors_own_topic_and_says_what_to_look_at(name):
    assert ALARMS[name]["AlarmActions"] == [{"Ref": "MonitorTopic"}] == ALARMS[name]["OKActions"]
    assert len(ALARMS[name]["AlarmDescription"]) > 40


@pytest.mark.parametrize("name", ["NoRunAlarm", "UndeliveredAlarm"])
def test_silence_of_a_function_is_trouble(name):
    assert ALARMS[name]["TreatMissingData"] == "breaching"


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_looks_back_no_further_than_cloudwatch_can(name):
    periods = [row["Seconds"] for row in template()["Mappings"]["Poll"].values()]
    longest = ALARMS[name]["Period"] if isinstance(ALARMS[name]["Period"], int) else max(periods)
    assert longest * ALARMS[name]["EvaluationPeriods"] <= 86_400


def test_a_run_close_to_its_timeout_is_four_fifths_of_it():
    assert ALARMS["PollNearTimeoutAlarm"]["Threshold"] == POLL_TIMEOUT_MS * 0.8


def test_the_advice_against_slow_passes_names_the_concurrency_that_lambda_allows():
    assert f"to {connection_limit(ON_LAMBDA)} at most" in ALARMS["PollNearTimeoutAlarm"]["AlarmDescription"]


def test_dropped_shards_are_helped_by_more_polls_side_by_side():
    assert "PollConcurrency" in ALARMS["ShardsDroppedAlarm"]["AlarmDescription"]


def test_the_dashboard_has_a_widget_for_each_question():
    titles = [widget["properties"]["title"] for widget in dashboard()["widgets"]]
    assert titles == [
        "Numbers by status",
        "Open incidents",
        "The monitor itself",
        "Probe failures by cause",
        "Coverage",
        "Run duration against its limit",
        "Deliveries: lag and failures",
        "What could not be done",
        "Cost drivers",
    ]


def test_the_dashboard_draws_the_limit_that_the_function_has():
    (limit,) = [
        line["value"]
        for widget in dashboard()["widgets"]
        for line in widget["properties"].get("annotations", {}).get("horizontal", [])
    ]
    assert limit == POLL_TIMEOUT_MS


def test_the_dashboard_shows_every_alarm():
    assert set(re.findall(r"\$\{(\w+)\.Arn\}", dashboard_text())) == set(ALARMS)


def test_the_monitors_own_metrics_are_few():
    """Ten are free; only a fleet that is cut into shards has ShardsDropped."""
    assert len(own_metrics() - {"ShardsDropped"}) == 11


def test_the_fleet_counts_as_unread_after_three_intervals():
    assert ALARMS["NoRunAlarm"]["Threshold"] == {"Fn::FindInMap": ["Poll", {"Ref": "PollEvery"}, "Late"]}
    assert all(row["Late"] == 3 * row["Seconds"] for row in template()["Mappings"]["Poll"].values())


def test_widgets_do_not_overlap():
    taken = [
        (x, y)
        for widget in dashboard()["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
