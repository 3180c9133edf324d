"""The poll function: started by the schedule, and by the shard queue where a fleet is large."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.typing import LambdaContext

from wabawatch.application.poll import PollResult
from wabawatch.config import deployment
from wabawatch.errors import WabawatchError, describe_place
from wabawatch.lambda_events import LambdaMonitor, PollEvent, is_self_test, read_event, read_shard

logger = Logger(service="poll")
metrics = Metrics(namespace="Wabawatch", service="poll")
metrics.set_default_dimensions(deployment=deployment(os.environ))  # two stacks of one account must not share metrics
warnings.filterwarnings("ignore", "No application metrics")  # a refused event has none
package = logging.getLogger("wabawatch")  # its lines are structured too, with the same keys
package.handlers, package.propagate = [logger.registered_handler], False
package.setLevel(logger.log_level)


@cache
def serverless() -> LambdaMonitor:
    """Built once in each execution environment."""
    return LambdaMonitor(os.environ)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # while Lambda starts it, with a whole processor and not a third of one
    with suppress(WabawatchError):  # the first event raises it again, and logs what to do
        serverless()


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:  # noqa: ANN401 - anybody can invoke a function
    """Poll, or poll a shard. A bad event fails with one line in the log; a bad shard message alone goes back."""
    until = _deadline(context)
    records = event.get("Records") if isinstance(event, dict) else None
    if isinstance(records, list) and records:
        return {"batchItemFailures": [{"itemIdentifier": name} for name in _shards(records, until)]}
    try:
        if is_self_test(event):
            return serverless().self_test(event, "poll", until)
        done = serverless().poll(read_event(event, PollEvent), until, begun=_begun)
    except WabawatchError as error:
        logger.error("cannot poll", extra={"reason": str(error)})  # noqa: TRY400 - the runtime adds the traceback
        raise
    if isinstance(done, int):
        logger.info("run cut into shards", extra={"shards": done})
        return {"shards": done}
    return _report(done)


def _shards(records: list[dict[str, Any]], until: datetime) -> list[str]:
    """Poll the shards of a batch; the ids of the messages that failed.

    Raises where all did, so that Lambda counts an error: messages that only go back are seen by nobody."""
    failures: dict[str, str] = {}
    dropped = 0
    for record in records:
        try:
            shard = read_shard(record.get("body"))
            polled = serverless().poll_shard(shard, until, receives=_receives(record), begun=_begun)
        except Exception as error:  # noqa: BLE001 - one poison message does not stop the rest; the queue counts its tries
            reason = _reason(error)
            logger.error("shard failed", extra={"message_id": record.get("messageId"), "reason": reason})  # noqa: TRY400
            failures[str(record.get("messageId"))] = reason
        else:
            if polled is None:
                dropped += 1
                said = {"message_id": record.get("messageId"), "shard": shard.shard, "of": shard.of}
                logger.warning("shard dropped: a newer run reads it", extra=said)
            else:
                _report(polled)
    metrics.add_metric("ShardsDropped", MetricUnit.Count, dropped)
    if len(failures) == len(records):
        raise WabawatchError(f"no shard of the batch could be polled: {next(iter(failures.values()))}")
    return list(failures)


def _reason(error: Exception) -> str:
    """What went wrong; of a bug only its place, because its text may quote what must not be logged."""
    if isinstance(error, WabawatchError):
        return f"{type(error).__name__}: {error}"
    return f"unexpected {describe_place(error)}"


def _receives(record: dict[str, Any]) -> int:
    """How often this message was received, this time included."""
    attributes = record.get("attributes")
    count = attributes.get("ApproximateReceiveCount") if isinstance(attributes, dict) else None
    return int(count) if isinstance(count, str) and count.isdecimal() else 1


def _begun(run_id: str) -> None:
    """From here on every line, and the metrics too, say which run they are of."""
    logger.append_keys(run_id=run_id)
    metrics.add_metadata("run_id", run_id)


def _report(polled: PollResult) -> dict[str, Any]:
    run = polled.run
    seconds = ((run.finished_at or run.started_at) - run.started_at).total_seconds()
    counts = {"expected": run.expected, "answered": run.answered, "unknown": run.unknown, "skipped": run.skipped}
    logger.info(
        "run finished",
        extra={**counts, "shard": run.shard, "of": run.of, "transitions": run.transitions, "writes": run.writes,
               "conflicts": run.conflicts, "refused": run.refused, "mass_failure": run.mass_failure,
               "seconds": round(seconds, 3)},
    )  # fmt: skip
    _tell_unknown_codes(run.codes)
    read = run.answered + run.unknown
    for status in ("AVAILABLE", "LIMITED", "BLOCKED", "UNKNOWN"):
        metrics.add_metric(f"Status{status.capitalize()}", MetricUnit.Count, run.statuses.get(status, 0))
    metrics.add_metric("RunsCompleted", MetricUnit.Count, int(polled.completes))
    metrics.add_metric("UnknownShare", MetricUnit.Percent, 100 * run.unknown / read if read else 0)
    for cause, count in run.causes.items():
        with single_metric(
            "ProbeFailures", MetricUnit.Count, count, namespace="Wabawatch",
            default_dimensions=metrics.default_dimensions,
        ) as metric:  # fmt: skip
            metric.add_dimension("service", "poll")
            metric.add_dimension("cause", cause)
    return {"run_id": run.id, **counts}


def _tell_unknown_codes(codes: dict[int, int]) -> None:
    """Meta publishes no list of its codes: this is how the runbook grows."""
    if codes:
        from wabawatch.messages.runbook import unlisted  # noqa: PLC0415 - a fleet that is well starts faster

        if new := unlisted(codes, serverless().application.settings.runbook):
            logger.warning("reason codes that the runbook does not know", extra={"codes": new})


def _deadline(context: LambdaContext) -> datetime:
    return datetime.now(UTC) + timedelta(milliseconds=context.get_remaining_time_in_millis())
