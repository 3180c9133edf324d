"""Evaluates CloudWatch alarms on the metrics that the functions write into their logs.

The emulator makes no metrics of log lines, and its own alarms ignore dimensions and missing data. As in CloudWatch, a
metric is a namespace, a name and a set of dimensions: what several stacks report under the same ones is one metric.

The schedules run faster here, so a period is shortened alike. Thresholds are not: the functions measure true seconds.
"""

from __future__ import annotations

import json
import operator
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.e2e.emulator import SECONDS_IN_A_MINUTE, Emulator
from tests.e2e.stack import Stack

_STATISTICS: dict[str, Callable[[list[float]], float]] = {"Maximum": max, "Sum": sum}
_COMPARISONS = {"GreaterThanThreshold": operator.gt, "GreaterThanOrEqualToThreshold": operator.ge}

Metric = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name and dimensions."""


def state(stack: Stack, logical_id: str) -> str:
    """ALARM or OK: what the stack's alarm would say now."""
    emulator = stack.emulator
    names = [stack.resource(logical_id)]
    (alarm,) = emulator.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    dimensions = frozenset((dimension["Name"], dimension["Value"]) for dimension in alarm["Dimensions"])
    watched = (alarm["Namespace"], alarm["MetricName"], dimensions)
    points = [(at, value) for metric, at, value in _embedded(emulator) if metric == watched]
    length = alarm["Period"] * SECONDS_IN_A_MINUTE / 60
    ends = [time.time() - position * length for position in range(alarm["EvaluationPeriods"])]
    breaching = [_breaches(alarm, [value for at, value in points if end - length < at <= end]) for end in ends]
    return "ALARM" if sum(breaching) >= alarm.get("DatapointsToAlarm", len(ends)) else "OK"


def _breaches(alarm: dict[str, Any], values: list[float]) -> bool:
    if not values:
        return bool(alarm["TreatMissingData"] == "breaching")
    value = _STATISTICS[alarm["Statistic"]](values)
    return bool(_COMPARISONS[alarm["ComparisonOperator"]](value, alarm["Threshold"]))


def _embedded(emulator: Emulator) -> Iterator[tuple[Metric, float, float]]:
    """Each value in the logs of all functions, with its metric and its time in seconds since 1970."""
    logs = emulator.client("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        for line in (event["message"].strip() for page in pages for event in page["events"]):
            if line.startswith("{") and '"_aws"' in line:
                yield from _values(json.loads(line))


def _values(document: dict[str, Any]) -> Iterator[tuple[Metric, float, float]]:
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = frozenset((name, document[name]) for name in names)
            for metric in directive["Metrics"]:
                found = document[metric["Name"]]
                for value in found if isinstance(found, list) else [found]:
                    key = (directive["Namespace"], metric["Name"], dimensions)
                    yield key, document["_aws"]["Timestamp"] / 1000, value
