"""The notify function: the table's stream starts it when something was written, and the schedule each minute."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from wabawatch.application.notify import NotifyResult
from wabawatch.errors import WabawatchError
from wabawatch.lambda_events import NotifyEvent, is_self_test, read_event
from wabawatch.lambda_runtime import Runtime, deadline

runtime = Runtime("notify")
logger, metrics = runtime.logger, runtime.metrics
runtime.start()


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Run one round. The stream's records are only checked to be the table's; their content does not matter."""
    until = deadline(context)
    try:
        if is_self_test(event):
            return runtime.lambda_monitor().self_test(event, "notify", until)
        _check(event)
        notified = runtime.lambda_monitor().notify(until)
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
    counts = {"folded": notified.folded, "opened": notified.opened, "resolved": notified.resolved,
            "sent": notified.sent, "failed": notified.failed, "pending": notified.pending}  # fmt: skip
    logger.info("round finished", extra=counts)
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
    if notified.heartbeat:
        logger.info("heartbeat sent", extra={"kind": notified.heartbeat.kind, "reason": notified.heartbeat.why})
        metrics.add_metric("Heartbeats", MetricUnit.Count, 1 if notified.heartbeat.kind == "success" else 0)
    return {"worked": True, **counts}
