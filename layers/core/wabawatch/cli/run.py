"""`run`: poll and notify, once or until stopped."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Final

import click

from wabawatch.application.notify import NotifyResult
from wabawatch.bootstrap import Monitor
from wabawatch.cli.arguments import Duration
from wabawatch.cli.exits import INTERRUPTED, OK
from wabawatch.cli.options import Command, as_json
from wabawatch.cli.reporting import JsonLines, Lines, Reporter
from wabawatch.cli.session import Session, session
from wabawatch.cli.stopping import Stop
from wabawatch.errors import WabawatchError

_LOOK_EVERY: Final = timedelta(seconds=5)
"""Between two passes: whether a retry, a reminder or the end of a mute is due."""
_ROUND_EVERY: Final = timedelta(minutes=1)
"""The longest time between two rounds of notify, so that what people say with `ack` and `silence` is soon obeyed."""


@click.command(
    cls=Command,
    short_help="Poll and notify until stopped; a live view on a terminal.",
    examples="""
    $ D360_API_KEY=… wabawatch run
    $ wabawatch --config fleet.yaml run --interval 1m
    $ wabawatch --config fleet.yaml run --once --json
    """,
)
@click.option("--once", is_flag=True, help="One pass and one round of notify; for cron.")
@click.option(
    "--interval", type=Duration(), default="5m", show_default=True, help="Time between two passes; with --once, cron's."
)
@as_json
def run(once: bool, interval: timedelta, as_json: bool) -> int:
    """Read every target, record what changed, and tell the destinations; again and again until stopped.

    On a terminal it is a live view; elsewhere a line for each transition and notification, or with --json one
    document for each run. Ctrl-C ends it in order: what was read is recorded and told first.
    """
    with Stop() as stop:
        if not once:
            return watch(session(), interval, stop, as_json=as_json)
        app = session().application(console=sys.stderr if as_json else None, working=True)
        app.interval = interval
        reporter: Reporter = JsonLines() if as_json else _lines_once()
        with reporter:
            return _once(app, stop, reporter)


def _lines_once() -> Reporter:
    from wabawatch.cli.reporting import Bar  # noqa: PLC0415 - rich's progress is needed on a terminal only

    return Bar() if sys.stderr.isatty() else Lines(summary=True)


def _once(app: Monitor, stop: Stop, reporter: Reporter) -> int:
    trouble = app.refresh()
    if trouble is not None:
        reporter.trouble(trouble.detail)
    reporter.passing(len(app.settings.targets))
    reporter.passed(app, app.cycle(stopped=stop, heard=reporter.heard))
    app.purge_if_due()
    return INTERRUPTED if stop.interrupted else OK


def watch(own: Session, interval: timedelta, stop: Stop, *, as_json: bool = False) -> int:
    """Pass after pass until somebody asks for an end. What is wrong at the start is raised; later it is shown, and
    tried again."""
    if not as_json and sys.stdout.isatty():
        from wabawatch.cli.live import Live  # noqa: PLC0415 - a terminal only

        reporter: Reporter = Live(interval)
    else:
        reporter = JsonLines() if as_json else Lines()
    app = own.application(console=reporter.console, working=True)
    app.interval = interval
    _ = app.settings, app.store.runs(1)
    with reporter:
        Loop(app, interval, stop, reporter).run()
    return OK


class Loop:
    """Passes at their interval, and rounds of notify in between."""

    def __init__(self, app: Monitor, interval: timedelta, stop: Stop, reporter: Reporter) -> None:
        self._app = app
        self._interval = interval
        self._stop = stop
        self._reporter = reporter
        self._told_at = app.clock.now()

    def run(self) -> None:
        while not self._stop():
            next_at = self._app.clock.now() + self._interval
            self._pass()
            self._wait(next_at)

    def _pass(self) -> None:
        try:
            self._reporter.configured(self._app.refresh())
            self._reporter.passing(len(self._app.settings.targets))
            cycle = self._app.cycle(stopped=self._stop, heard=self._reporter.heard, notified=self._show)
            self._told_at = self._app.clock.now()
            self._reporter.passed(self._app, cycle)
            self._app.purge_if_due()
        except WabawatchError as error:
            self._reporter.trouble(str(error))

    def _show(self, notified: NotifyResult) -> None:
        self._reporter.notified(self._app, notified)

    def _wait(self, next_at: datetime) -> None:
        """Until the next pass; a pass that took longer than the interval is followed by the next one at once."""
        self._reporter.waiting(next_at)
        while (rest := next_at - self._app.clock.now()) > timedelta(0):
            if self._stop.wait(min(rest, _LOOK_EVERY).total_seconds()):
                return
            if next_at - self._app.clock.now() > timedelta(0):
                self._look()

    def _look(self) -> None:
        try:
            now = self._app.clock.now()
            if now - self._told_at < _ROUND_EVERY and not self._app.has_notify_work(now):
                return
            self._told_at = now
            trouble = self._app.refresh()
            self._reporter.configured(trouble)
            self._reporter.notified(self._app, self._app.tell(trouble))
        except WabawatchError as error:
            self._reporter.trouble(str(error))
