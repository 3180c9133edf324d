"""The live view of `run`: collects what happens and hands it to rich, which draws it from a thread of its own."""

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
from wabawatch.bootstrap import Cycle, Monitor
from wabawatch.cli.drawing import draw
from wabawatch.cli.finding import severity, title_of
from wabawatch.cli.health import fleet
from wabawatch.cli.incidents import open_ones
from wabawatch.cli.output import console
from wabawatch.cli.picture import warning
from wabawatch.cli.reporting import Reporter
from wabawatch.cli.scene import Alert, OpenIncident, Scene
from wabawatch.cli.wording import named, unread
from wabawatch.domain.health import Observation, Reason, rank
from wabawatch.domain.incident import Incident
from wabawatch.domain.pen import Pen, Room
from wabawatch.messages.runbook import advise
from wabawatch.messages.titles import headline, mark

_ALERTS = 50


class Live(Reporter):
    """A screen of its own while it lasts; at the end the last picture stays in the terminal."""

    def __init__(self, interval: timedelta) -> None:
        self._message = _Message()
        self.console = self._message
        self._terminal = console()
        self.scene = Scene(interval, alerts=deque(maxlen=_ALERTS))
        self._live = RichLive(
            get_renderable=lambda: draw(self.scene, self._terminal.size, datetime.now(UTC)),
            console=self._terminal,
            screen=True,
            refresh_per_second=4,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._log = _Log(self.scene)
        self._handlers: list[logging.Handler] = []

    def __enter__(self) -> Self:
        """Log lines become part of the picture: written to the terminal they would tear it."""
        root = logging.getLogger("wabawatch")
        self._handlers, root.handlers = root.handlers, [self._log]
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        logging.getLogger("wabawatch").handlers = self._handlers
        self.scene.ended = True
        width, height = self._terminal.size
        self._terminal.print(draw(self.scene, (width, max(height - 2, 10)), datetime.now(UTC)))

    def passing(self, expected: int) -> None:
        self.scene.expected = expected
        self.scene.read = 0
        self.scene.passing_since = datetime.now(UTC)

    def heard(self, observation: Observation) -> None:
        del observation
        self.scene.read += 1

    def passed(self, app: Monitor, cycle: Cycle) -> None:
        run = cycle.polled.run
        self.scene.passing_since = None
        self.scene.passes += 1
        self.scene.unread = unread(run)
        self.scene.took = (run.finished_at or app.clock.now()) - run.started_at
        self.notified(app, cycle.notified)

    def notified(self, app: Monitor, notified: NotifyResult) -> None:
        self.scene.trouble = ""
        self.scene.deployment = app.settings.deployment
        self.scene.base_url = app.settings.source.base_url
        now = app.clock.now()
        coverages = app.store.coverages()
        self.scene.pictures = tuple(fleet(app, coverages, now))
        self.scene.warning = warning(self.scene.pictures, coverages, app.rules.policy.mass_failure, now)
        self.scene.incidents = tuple(_incident(app, one) for one in sorted(open_ones(app), key=_worst_first))
        for attempt in notified.attempts:
            self.scene.alerts.appendleft(_alert(attempt, app.clock.now()))
        self.scene.message = self._message.latest

    def waiting(self, next_at: datetime) -> None:
        self.scene.passing_since = None
        self.scene.next_at = next_at

    def configured(self, trouble: Reason | None) -> None:
        self.scene.stale = "" if trouble is None else f"the last good configuration goes on: {trouble.detail}"

    def trouble(self, text: str) -> None:
        self.scene.passing_since = None
        self.scene.trouble = text


def _worst_first(one: Incident) -> int:
    return -rank(one.status)


def _incident(app: Monitor, one: Incident) -> OpenIncident:
    notified = tuple(name for name, line in one.notification_log.items() if line.status is not None)
    advice = advise(one.reasons[0], app.settings.runbook) if one.reasons else None
    todo = f"{advice.who}: {advice.action}" if advice else ""
    entity = named(*one.key[:2]) if one.affected > 1 else ""
    title = title_of(app, one)
    return OpenIncident(one.id, one.notified_status, severity(app, one), one.opened_at, title, notified, todo, entity)


def _alert(attempt: Attempt, now: datetime) -> Alert:
    said = attempt.notification
    failed = str(attempt.error) if attempt.error is not None else ""
    return Alert(now, attempt.destination, mark(said).word, headline(said, Pen(Room())), failed)


class _Log(logging.Handler):
    """Keeps the latest line for the picture."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(logging.WARNING)
        self._scene = scene

    def emit(self, record: logging.LogRecord) -> None:
        self._scene.note = record.getMessage()


class _Message(io.StringIO):
    """What consoles write while the live view has the terminal: the latest message is kept to be shown."""

    latest = ""

    def write(self, text: str) -> int:
        self.latest = text.strip("\n") or self.latest
        return len(text)
