"""How `run` reports: lines, JSON, or a live view on a terminal."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TextIO

import click

from wabawatch.application.delivery import Attempt
from wabawatch.application.notify import NotifyResult
from wabawatch.cli.json_output import RunDeliveries, RunDocument, RunIncidents, RunTargets, transition_document
from wabawatch.cli.output import causes_text, change_text, codes_text, document, skipped_text
from wabawatch.domain.health import Observation, Reason
from wabawatch.domain.snapshot import Transition
from wabawatch.messages.message import render_title
from wabawatch.messages.text import pluralize, sanitize
from wabawatch.monitor import CycleResult, Monitor

logger = logging.getLogger(__name__)


class Reporter:
    """Receives the events of `run`; this base class logs errors and ignores the rest.

    `console` is the stream of console destinations; None is standard output."""

    console: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""

    def on_start(self, expected: int) -> None:
        """Handle the start of a pass over so many targets."""

    def on_observation(self, observation: Observation) -> None:
        """Handle an observation."""

    def on_cycle(self, app: Monitor, cycle: CycleResult) -> None:
        """Handle the end of a pass and of its round of notify."""

    def on_round(self, app: Monitor, result: NotifyResult) -> None:
        """Handle the end of a round of notify between two passes."""

    def on_wait(self, next_at: datetime) -> None:
        """Handle the wait for the next pass."""

    def on_config(self, error: Reason | None) -> None:
        """Handle a reload of the configuration. With an error, the last good configuration stays in use."""
        if error is not None:
            self.on_error(f"the last good configuration stays in use: {error.detail}")

    def on_error(self, text: str) -> None:
        """Handle an error that will be retried."""
        logger.error("%s", text)


class JsonLines(Reporter):
    """One JSON document for each run. Console destinations write to standard error."""

    def __init__(self) -> None:
        self.console = sys.stderr

    def on_cycle(self, app: Monitor, cycle: CycleResult) -> None:
        del app
        document(run_document(cycle))
        sys.stdout.flush()


def run_document(cycle: CycleResult) -> RunDocument:
    """Return a run as `run --json` prints it."""
    run, result = cycle.polled.run, cycle.notified
    return RunDocument(
        run.id,
        run.started_at,
        run.finished_at,
        RunTargets(run.expected, run.answered, run.unknown, run.skipped),
        [transition_document(transition) for transition in cycle.polled.transitions],
        RunIncidents(result.open, result.opened, result.resolved),
        RunDeliveries(result.sent, result.failed, result.pending),
    )


class Lines(Reporter):
    """A line for each transition and notification; with `summary`, also one for the run."""

    def __init__(self, *, summary: bool = False) -> None:
        self._summary = summary

    def on_cycle(self, app: Monitor, cycle: CycleResult) -> None:
        for transition in cycle.polled.transitions:
            _print_line(transition.at, transition_line(transition))
        self.on_round(app, cycle.notified)
        if self._summary:
            _print_line(app.clock.now(), run_line(cycle))
        sys.stdout.flush()

    def on_round(self, app: Monitor, result: NotifyResult) -> None:
        for attempt in result.attempts:
            _print_line(app.clock.now(), attempt_line(attempt))
        sys.stdout.flush()


class ProgressBar(Lines):
    """Lines, and a progress bar on standard error during the pass."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - needed on a terminal only
        from rich.progress import Progress  # noqa: PLC0415

        super().__init__(summary=True)
        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("reading", total=None)

    def on_start(self, expected: int) -> None:
        self._progress.update(self._task, total=expected)
        self._progress.start()

    def on_observation(self, observation: Observation) -> None:
        del observation
        self._progress.advance(self._task)

    def on_cycle(self, app: Monitor, cycle: CycleResult) -> None:
        self._progress.stop()
        super().on_cycle(app, cycle)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def _print_line(at: datetime, text: str) -> None:
    click.echo(f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} {sanitize(text)}")


def transition_line(transition: Transition) -> str:
    """Format a transition: `support-de: WABA 1234 can_send_message AVAILABLE → BLOCKED: 141006 the text`."""
    entity = f"{transition.entity_type} {transition.entity_id} {transition.capability}"
    change = change_text(transition.old, transition.new).plain
    why = ", ".join(codes_text(reason.code, reason.description) for reason in transition.reasons)
    return f"{transition.target.removeprefix('~')}: {entity} {change}{': ' if why else ''}{why}"


def attempt_line(attempt: Attempt) -> str:
    """Format a delivery: `notified ops: Support Germany cannot send messages`."""
    text = render_title(attempt.notification)
    if attempt.error is None:
        return f"notified {attempt.destination}: {text}"
    return f"NOT notified {attempt.destination}: {text} ({attempt.error})"


def run_line(cycle: CycleResult) -> str:
    """Format a run: `read 11 of 12 targets, 1 unknown (timeout); 2 transitions; 1 incident open; …`."""
    run, result = cycle.polled.run, cycle.notified
    unknown = f", {run.unknown} unknown ({causes_text(run)})" if run.unknown else ""
    refused = f", {run.refused} not stored" if run.refused else ""
    failed = f", {result.failed} failed" if result.failed else ""
    return (
        f"read {run.answered} of {pluralize(run.expected, 'target')}{unknown}{skipped_text(run)}{refused};"
        f" {pluralize(run.transitions, 'transition')}; {pluralize(result.open, 'incident')} open;"
        f" {pluralize(result.sent, 'notification')} delivered{failed}"
    )
