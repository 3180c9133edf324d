"""How `run` reports: plain lines, JSON lines, a progress bar. The live view is in `live`."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TextIO

import click

from wabawatch.application.delivery import Attempt
from wabawatch.application.notify import NotifyResult
from wabawatch.bootstrap import Cycle, Monitor
from wabawatch.cli.documents import RunDeliveries, RunDocument, RunIncidents, RunTargets, transition_document
from wabawatch.cli.output import document
from wabawatch.cli.wording import causes_text, codes_text, skipped_text
from wabawatch.domain.health import Observation, Reason
from wabawatch.domain.pen import Pen, Room
from wabawatch.domain.snapshot import Transition
from wabawatch.messages.text import clean, pluralize
from wabawatch.messages.titles import headline

logger = logging.getLogger(__name__)


class Reporter:
    """Hears what `run` does; this one says nothing but troubles, to the log. `console` is where the destinations of
    that kind write, None: standard output."""

    console: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""

    def passing(self, expected: int) -> None:
        """A pass begins."""

    def heard(self, observation: Observation) -> None:
        """An observation came in."""

    def passed(self, app: Monitor, cycle: Cycle) -> None:
        """A pass has ended, and the round of notify after it."""

    def notified(self, app: Monitor, notified: NotifyResult) -> None:
        """A round of notify between two passes has ended."""

    def waiting(self, next_at: datetime) -> None:
        """Nothing to do until then."""

    def configured(self, trouble: Reason | None) -> None:
        """The configuration was looked at; why the last good one goes on, if it does."""
        if trouble is not None:
            self.trouble(f"the last good configuration goes on: {trouble.detail}")

    def trouble(self, text: str) -> None:
        """Something cannot be done for now, and is tried again."""
        logger.error("%s", text)


class JsonLines(Reporter):
    """One document for each run. What consoles write goes to standard error: the output is for machines."""

    def __init__(self) -> None:
        self.console = sys.stderr

    def passed(self, app: Monitor, cycle: Cycle) -> None:
        del app
        document(run_document(cycle))
        sys.stdout.flush()


def run_document(cycle: Cycle) -> RunDocument:
    """One run, as `run --json` prints it."""
    run, notified = cycle.polled.run, cycle.notified
    return RunDocument(
        run.id,
        run.started_at,
        run.finished_at,
        RunTargets(run.expected, run.answered, run.unknown, run.skipped),
        [transition_document(one) for one in cycle.polled.transitions],
        RunIncidents(notified.open, notified.opened, notified.resolved),
        RunDeliveries(notified.sent, notified.failed, notified.pending),
    )


class Lines(Reporter):
    """A line for each transition and each notification, and with `summary` one for the run."""

    def __init__(self, *, summary: bool = False) -> None:
        self._summary = summary

    def passed(self, app: Monitor, cycle: Cycle) -> None:
        for transition in cycle.polled.transitions:
            _say(transition.at, transition_line(transition))
        self.notified(app, cycle.notified)
        if self._summary:
            _say(app.clock.now(), run_line(cycle))
        sys.stdout.flush()

    def notified(self, app: Monitor, notified: NotifyResult) -> None:
        for attempt in notified.attempts:
            _say(app.clock.now(), attempt_line(attempt))
        sys.stdout.flush()


class Bar(Lines):
    """Lines, and a bar on the terminal's standard error while a single pass takes long."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only on a terminal
        from rich.progress import Progress  # noqa: PLC0415

        super().__init__(summary=True)
        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("reading", total=None)

    def passing(self, expected: int) -> None:
        self._progress.update(self._task, total=expected)
        self._progress.start()

    def heard(self, observation: Observation) -> None:
        del observation
        self._progress.advance(self._task)

    def passed(self, app: Monitor, cycle: Cycle) -> None:
        self._progress.stop()
        super().passed(app, cycle)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def _say(at: datetime, text: str) -> None:
    click.echo(f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} {clean(text)}")


def transition_line(one: Transition) -> str:
    """As in `support-de: WABA 1234 can_send_message AVAILABLE → BLOCKED: 141006 the text`."""
    moved = f"{one.old or 'found'} → {one.new}" if one.old != one.new else f"{one.new}, other reasons"
    why = ", ".join(codes_text(reason.code, reason.description) for reason in one.reasons)
    target = one.target.removeprefix("~")
    return f"{target}: {one.entity_type} {one.entity_id} {one.capability} {moved}{': ' if why else ''}{why}"


def attempt_line(attempt: Attempt) -> str:
    """As in `told ops: Support Germany cannot send messages`."""
    said = headline(attempt.notification, Pen(Room()))
    if attempt.error is None:
        return f"told {attempt.destination}: {said}"
    return f"NOT told {attempt.destination}: {said} ({attempt.error})"


def run_line(cycle: Cycle) -> str:
    """As in `read 11 of 12 targets, 1 unknown (timeout); 2 transitions; 1 incident open; 1 notification delivered`."""
    run, notified = cycle.polled.run, cycle.notified
    unknown = f", {run.unknown} unknown ({causes_text(run)})" if run.unknown else ""
    refused = f", {run.refused} not stored" if run.refused else ""
    failed = f", {notified.failed} failed" if notified.failed else ""
    return (
        f"read {run.answered} of {pluralize(run.expected, 'target')}{unknown}{skipped_text(run)}{refused};"
        f" {pluralize(run.transitions, 'transition')}; {pluralize(notified.open, 'incident')} open;"
        f" {pluralize(notified.sent, 'notification')} delivered{failed}"
    )
