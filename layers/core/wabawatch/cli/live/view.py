"""The live view of `run`: collects its events, and lets rich draw them from another thread."""

from __future__ import annotations

import io
import logging
from collections import deque
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from rich.live import Live as RichLive

from wabawatch.application.delivery import Attempt
from wabawatch.application.notify import NotifyResult
from wabawatch.cli.live import Reporter
from wabawatch.cli.live.layout import Alert, LiveState, OpenIncident, draw
from wabawatch.cli.output import console, named, unread
from wabawatch.cli.target_view import fleet_warning, incident_severity, incident_title, list_open_incidents, view_fleet
from wabawatch.domain.health import Observation, Reason, rank
from wabawatch.domain.incident import Incident
from wabawatch.messages.message import render_title
from wabawatch.messages.runbook import advise
from wabawatch.messages.titles import notification_badge
from wabawatch.monitor import CycleResult, Monitor

_MAX_ALERTS = 50


class LiveView(Reporter):
    """A full-screen view. When it ends, its last state stays in the terminal."""

    def __init__(self, interval: timedelta) -> None:
        self._message = _LatestMessage()
        self.console = self._message
        self._terminal = console()
        self.state = LiveState(interval, alerts=deque(maxlen=_MAX_ALERTS))
        self._live = RichLive(
            get_renderable=lambda: draw(self.state, self._terminal.size, datetime.now(UTC)),
            console=self._terminal,
            screen=True,
            refresh_per_second=4,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._log_handler = _LatestLogLine(self.state)
        self._previous_handlers: list[logging.Handler] = []

    def __enter__(self) -> Self:
        """Start drawing. Log lines become part of the view: on the terminal they would break its layout."""
        root = logging.getLogger("wabawatch")
        self._previous_handlers, root.handlers = root.handlers, [self._log_handler]
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        logging.getLogger("wabawatch").handlers = self._previous_handlers
        self.state.ended = True
        width, height = self._terminal.size
        self._terminal.print(draw(self.state, (width, max(height - 2, 10)), datetime.now(UTC)))

    def on_start(self, expected: int) -> None:
        self.state.expected = expected
        self.state.read = 0
        self.state.pass_started_at = datetime.now(UTC)

    def on_observation(self, observation: Observation) -> None:
        del observation
        self.state.read += 1

    def on_cycle(self, app: Monitor, cycle: CycleResult) -> None:
        run = cycle.polled.run
        self.state.pass_started_at = None
        self.state.passes += 1
        self.state.unread = unread(run)
        self.state.took = (run.finished_at or app.clock.now()) - run.started_at
        self.on_round(app, cycle.notified)

    def on_round(self, app: Monitor, result: NotifyResult) -> None:
        state = self.state
        state.error = ""
        state.deployment = app.settings.deployment
        state.base_url = app.settings.source.base_url
        now = app.clock.now()
        coverages = app.store.coverages()
        state.targets = tuple(view_fleet(app, coverages, now))
        state.warning = fleet_warning(state.targets, coverages, app.rules.policy.mass_failure, now)
        worst_first = sorted(list_open_incidents(app), key=lambda incident: -rank(incident.status))
        state.incidents = tuple(_incident_line(app, incident) for incident in worst_first)
        for attempt in result.attempts:
            state.alerts.appendleft(_alert_line(attempt, app.clock.now()))
        state.message = self._message.latest

    def on_wait(self, next_at: datetime) -> None:
        self.state.pass_started_at = None
        self.state.next_at = next_at

    def on_config(self, error: Reason | None) -> None:
        text = "" if error is None else f"the last good configuration stays in use: {error.detail}"
        self.state.config_error = text

    def on_error(self, text: str) -> None:
        self.state.pass_started_at = None
        self.state.error = text


def _incident_line(app: Monitor, incident: Incident) -> OpenIncident:
    advice = advise(incident.reasons[0], app.settings.runbook) if incident.reasons else None
    return OpenIncident(
        id=incident.id,
        status=incident.notified_status,
        severity=incident_severity(app, incident),
        opened_at=incident.opened_at,
        title=incident_title(app, incident),
        destinations=tuple(name for name, row in incident.notification_log.items() if row.status is not None),
        action=f"{advice.who}: {advice.action}" if advice else "",
        entity=named(*incident.key[:2]) if incident.affected > 1 else "",
    )


def _alert_line(attempt: Attempt, now: datetime) -> Alert:
    said = attempt.notification
    failed = str(attempt.error) if attempt.error is not None else ""
    return Alert(now, attempt.destination, notification_badge(said).word, render_title(said), failed)


class _LatestLogLine(logging.Handler):
    """Keeps the latest warning for the view."""

    def __init__(self, state: LiveState) -> None:
        super().__init__(logging.WARNING)
        self._state = state

    def emit(self, record: logging.LogRecord) -> None:
        self._state.log_line = record.getMessage()


class _LatestMessage(io.StringIO):
    """A stream for console destinations that keeps the latest message for the view."""

    latest = ""

    def write(self, text: str) -> int:
        self.latest = text.strip("\n") or self.latest
        return len(text)
