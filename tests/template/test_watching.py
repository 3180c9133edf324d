import json
import re

import pytest

from tests.template.template import resources, template
from wabawatch.adapters.process import ON_LAMBDA, connection_limit

ALARMS = resources("AWS::CloudWatch::Alarm")
COMPOSITES = resources("AWS::CloudWatch::CompositeAlarm")
DEPLOYMENT = {"Name": "deployment", "Value": {"Ref": "AWS::StackName"}}
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
    alarms = {one["MetricName"] for one in own_alarms().values()}
    return alarms | set(re.findall(r'"Wabawatch", "(\w+)"', dashboard_text()))


def own_alarms():
    return {name: one for name, one in ALARMS.items() if one.get("Namespace") == "Wabawatch"}


def watched(alarm):
    """The metric of an alarm (namespace, name, dimensions); of an expression, the one that it is made of."""
    if "Metrics" not in alarm:
        return alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]
    (metric,) = [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]
    return metric["Namespace"], metric["MetricName"], metric["Dimensions"]


def period(alarm):
    (given,) = [one["MetricStat"]["Period"] for one in alarm.get("Metrics", ()) if "MetricStat" in one] or [
        alarm["Period"]
    ]
    return given


def rule(composite):
    return COMPOSITES[composite]["AlarmRule"]["Fn::Sub"]


@pytest.mark.parametrize("name", own_alarms())
def test_an_alarm_on_a_metric_of_our_own_is_of_this_stack_and_of_no_other(name):
    assert DEPLOYMENT in own_alarms()[name]["Dimensions"]


def test_the_dashboard_shows_this_stack_and_no_other():
    of_the_stack = '"deployment", "${AWS::StackName}"'
    lines = [line for line in dashboard_text().splitlines() if '"Wabawatch"' in line]
    assert len(lines) >= 10
    assert [line for line in lines if of_the_stack not in line] == []
    (search,) = re.findall(r"SEARCH\(.*?\)", dashboard_text())
    assert 'deployment=\\"${AWS::StackName}\\"' in search
    assert "{Wabawatch,cause,deployment,service}" in search


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
        pytest.param("UnheardAlarm", "TopicsUnheard", id="topics that nobody has subscribed to"),
        pytest.param("NotDeliveredBySnsAlarm", "NumberOfNotificationsFailed", id="what SNS could not deliver"),
    ],
)
def test_there_is_an_alarm_on(alarm, metric):
    assert ALARMS[alarm]["MetricName"] == metric


@pytest.mark.parametrize("queue", ["ShardDeadLetterQueue", "ScheduleDeadLetterQueue", "FailedEventQueue"])
def test_a_message_in_a_dead_letter_queue_raises_an_alarm(queue):
    found = [watched(one) for one in ALARMS.values()]
    assert {"Fn::GetAtt": f"{queue}.QueueName"} in [
        each[0]["Value"] for service, _, each in found if service == "AWS/SQS"
    ]


@pytest.mark.parametrize("alarm", ["ShardDeadLettersAlarm", "ScheduleDeadLettersAlarm", "FailedEventsAlarm"])
def test_each_new_message_in_a_queue_raises_the_alarm_anew_whatever_lies_there(alarm):
    metric = watched(ALARMS[alarm])[1]
    expressions = [one["Expression"] for one in ALARMS[alarm].get("Metrics", ()) if "Expression" in one]
    assert metric == "NumberOfMessagesSent" or expressions == ["DIFF(FILL(visible, 0))"]
    enough = ALARMS[alarm].get("DatapointsToAlarm", ALARMS[alarm]["EvaluationPeriods"])
    assert (ALARMS[alarm]["Threshold"], enough) == (0, 1)


def test_sqs_does_not_count_what_it_moves_itself_so_there_the_growth_is_watched():
    moved = {queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"] for queue in
             resources("AWS::SQS::Queue").values() if "RedrivePolicy" in queue}  # fmt: skip
    for alarm in ALARMS.values():
        service, metric, dimensions = watched(alarm)
        if service == "AWS/SQS":
            queue = dimensions[0]["Value"]["Fn::GetAtt"].removesuffix(".QueueName")
            assert (f"{queue}.Arn" in moved) is (metric == "ApproximateNumberOfMessagesVisible")


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_says_what_to_look_at_and_sends_nothing_itself(name):
    assert len(ALARMS[name]["AlarmDescription"]) > 40
    assert not ALARMS[name].keys() & {"AlarmActions", "OKActions", "InsufficientDataActions"}


@pytest.mark.parametrize("name", COMPOSITES)
def test_two_alarms_send_mail_with_what_to_do_to_the_monitors_topic_and_to_the_one_that_was_given(name):
    given = {"Fn::If": ["HasMonitorTopic", {"Ref": "MonitorTopicArn"}, {"Ref": "AWS::NoValue"}]}
    assert COMPOSITES[name]["AlarmActions"] == [{"Ref": "MonitorTopic"}, given] == COMPOSITES[name]["OKActions"]
    said = COMPOSITES[name]["AlarmDescription"]["Fn::Sub"]
    assert "wabawatch doctor --stack ${AWS::StackName}" in " ".join(said.split())
    assert "dashboard ${AWS::StackName}" in " ".join(said.split())
    assert len(said) <= 1024


def test_each_alarm_reaches_somebody_by_one_of_the_two():
    notified = [name for one in COMPOSITES for name in re.findall(r'ALARM\("\$\{(\w+)\}"\)', rule(one))]
    assert sorted(notified) == sorted(ALARMS.keys() - {"StartedAlarm"})


def test_nothing_holds_back_the_mail_that_nothing_is_read_or_told():
    """A composite alarm that is on sends nothing more."""
    assert re.findall(r'ALARM\("\$\{(\w+)\}"\)', rule("NotWorkingAlarm")) == ["NoRunAlarm", "UndeliveredAlarm"]


def test_silence_before_the_first_run_is_no_alarm_and_every_later_one_is():
    assert rule("NotWorkingAlarm").endswith(' AND NOT INSUFFICIENT_DATA("${StartedAlarm}")')
    started = ALARMS["StartedAlarm"]
    assert started["TreatMissingData"] == "ignore"
    assert watched(started)[1] == "Invocations"
    assert not any("INSUFFICIENT_DATA" in rule(one) for one in COMPOSITES if one != "NotWorkingAlarm")
    for name, alarm in ALARMS.items():
        if alarm["TreatMissingData"] == "breaching":
            assert f'ALARM("${{{name}}}")' in rule("NotWorkingAlarm")
            assert "DatapointsToAlarm" not in alarm, "the first good minute must end it, or the first rounds ring"
            assert period(alarm) == period(started)


@pytest.mark.parametrize("name", [name for name in ALARMS if "DIFF(" in str(ALARMS[name].get("Metrics"))])
def test_a_difference_is_asked_for_over_enough_periods(name):
    (expression,) = [one["Expression"] for one in ALARMS[name]["Metrics"] if "Expression" in one]
    assert ALARMS[name]["EvaluationPeriods"] > expression.count("DIFF(")


@pytest.mark.parametrize("name", ["NoRunAlarm", "UndeliveredAlarm"])
def test_silence_of_a_function_is_trouble(name):
    assert ALARMS[name]["TreatMissingData"] == "breaching"


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_looks_back_no_further_than_cloudwatch_can(name):
    periods = [row["Seconds"] for row in template()["Mappings"]["Poll"].values()]
    longest = period(ALARMS[name]) if isinstance(period(ALARMS[name]), int) else max(periods)
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
        "Alarms about the monitor",
        "Probe failures by cause",
        "Coverage",
        "Run duration and timeout",
        "Deliveries: lag and failures",
        "Errors and dead letters",
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
    assert set(re.findall(r"\$\{(\w+)\.Arn\}", dashboard_text())) == ALARMS.keys() | COMPOSITES.keys()


def test_the_monitors_own_metrics_are_few():
    """Ten are free; only a fleet that is cut into shards has ShardsDropped, and only trouble has TopicsUnheard."""
    assert len(own_metrics() - {"ShardsDropped", "TopicsUnheard"}) == 11


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
