"""The runtime of both functions: logger, metrics, the deadline, and the monitor, made while Lambda starts the
function."""

from __future__ import annotations

import gc
import logging
import os
import warnings
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from wabawatch.config import deployment
from wabawatch.errors import WabawatchError
from wabawatch.lambda_events import LambdaMonitor

NAMESPACE: Final = "Wabawatch"
_GC_THRESHOLD: Final = 100_000
"""New objects after which Python looks for garbage. A start makes about as many, and they all stay: with Python's own
2,000 a tenth of a cold start went into looking through them, again and again."""


class Runtime:
    """What one execution environment keeps between its invocations."""

    def __init__(self, service: str) -> None:
        self.logger = Logger(service=service)
        self.metrics = Metrics(namespace=NAMESPACE, service=service)
        self.metrics.set_default_dimensions(deployment=deployment(os.environ))  # stacks must not share metrics
        warnings.filterwarnings("ignore", "No application metrics")  # a refused event has none, nor a lost lease
        package = logging.getLogger("wabawatch")  # its lines are structured too, with the same keys
        package.handlers, package.propagate = [self.logger.registered_handler], False
        package.setLevel(self.logger.log_level)
        self.lambda_monitor = cache(self._build)

    def start(self) -> None:
        """Build the monitor while Lambda starts the function with a whole processor. An error is raised again, and
        logged, by the first event."""
        if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            with suppress(WabawatchError):
                self.lambda_monitor()

    @staticmethod
    def _build() -> LambdaMonitor:
        gc.set_threshold(_GC_THRESHOLD)
        return LambdaMonitor(os.environ)


def deadline(context: LambdaContext) -> datetime:
    """Return when Lambda ends the invocation."""
    return datetime.now(UTC) + timedelta(milliseconds=context.get_remaining_time_in_millis())
