"""The notify function: started by the table's stream, which only says "look", and by the schedule each minute."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from wabawatch.application.notify import NotifyResult
from wabawatch.config import deployment
from wabawatch.errors import WabawatchError
from wabawatch.lambda_events import LambdaMonitor, NotifyEvent, is_self_test, read_event

logger = Logger(service="notify")
metrics = Metrics(namespace="Wabawatch", service="notify")
metrics.set_default_dimensions(deployment=deployment(os.environ))  # two stacks of one account must not share metrics
warnings.filterwarnings("ignore", "No application metrics")  # a refused event has none, nor a lost lease
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
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do one round. Which records rang does not matter; that they are the table's does."""
    until = datetime.now(UTC) + timedelta(milliseconds=context.get_remaining_time_in_millis())
    try:
        if is_self_test(event):
            return serverless().self_test(event, "notify", until)
        _check(event)
        notified = serverless().notify(until)
    except WabawatchError as error:
        logger.error("cannot notify", extra={"reason": str(error)})  # noqa: TRY400 - the runtime adds the traceback
        raise
    return _report(notified)


def _check(event: object) -> None:
    records = event.get("Records") if isinstance(event, dict) else None
    if isinstance(records, list) and records and all("dynamodb" in record for record in records):
        return
    read_event(event, NotifyEvent)


def _report(notified: NotifyResult) -> dict[str, Any]:
    if not notified.worked:
        logger.info("another notify is at work")
        return {"worked": False}
    said = {"folded": notified.folded, "opened": notified.opened, "resolved": notified.resolved,
            "sent": notified.sent, "failed": notified.failed, "pending": notified.pending}  # fmt: skip
    logger.info("round finished", extra=said)
    for attempt in notified.attempts:
        if attempt.error is not None:
            logger.warning(
                "delivery failed",
                extra={"destination": attempt.destination, "notification_id": attempt.notification.id,
                       "reason": str(attempt.error)},
            )  # fmt: skip
    metrics.add_metric("IncidentsOpen", MetricUnit.Count, notified.open)
    metrics.add_metric("DeliveriesFailed", MetricUnit.Count, notified.failed)
    metrics.add_metric("OldestUndeliveredSeconds", MetricUnit.Seconds, notified.oldest_undelivered.total_seconds())
    if notified.unread_for is not None:
        metrics.add_metric("SecondsSinceCompleteRun", MetricUnit.Seconds, notified.unread_for.total_seconds())
    if notified.unheard:
        metrics.add_metric("TopicsUnheard", MetricUnit.Count, notified.unheard)
    if notified.sent:
        metrics.add_metric("DeliveryLagSeconds", MetricUnit.Seconds, notified.lag.total_seconds())
    if notified.pulse:
        logger.info("heartbeat sent", extra={"kind": notified.pulse.kind, "reason": notified.pulse.why})
        metrics.add_metric("Heartbeats", MetricUnit.Count, 1 if notified.pulse.kind == "success" else 0)
    return {"worked": True, **said}
