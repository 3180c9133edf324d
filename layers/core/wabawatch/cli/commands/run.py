"""`run`: poll and notify, once or until stopped."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Final

import click

from wabawatch.application.notify import NotifyResult
from wabawatch.cli.exit_codes import INTERRUPTED, OK, Stop
from wabawatch.cli.live import JsonLines, Lines, ProgressBar, Reporter
from wabawatch.cli.options import Command, Duration, as_json
from wabawatch.cli.session import Session, session
from wabawatch.errors import WabawatchError
from wabawatch.monitor import Monitor

_CHECK_INTERVAL: Final = timedelta(seconds=5)
"""Between two passes: how often to check whether a retry, a reminder or the end of a silence is due."""
_MAX_NOTIFY_INTERVAL: Final = timedelta(minutes=1)
"""The longest time between two rounds of notify, so that `ack` and `silence` take effect soon."""


@click.command(
    cls=Command,
    short_help="Poll and notify until stopped; a live view on a terminal.",
    examples="""
    $ D360_API_KEY=… wabawatch run
    $ wabawatch --config fleet.yaml run --interval 1m
    $ wabawatch --config fleet.yaml run --once --json
    """,
)
@click.option("--once", is_flag=True, help="Run one pass and one round of notify; for cron.")
@click.option(
    "--interval", type=Duration(), default="5m", show_default=True, help="Time between passes; with --once, cron's."
)
@as_json
def run(once: bool, interval: timedelta, as_json: bool) -> int:
    """Read every target, record changes and send notifications; repeat until stopped.

    A terminal gets a live view. Other outputs get a line for each transition and notification, or with --json a
    document for each run. Ctrl-C stops after what was read is recorded and sent.
    """
    with Stop() as stop:
        if not once:
            return monitor(session(), interval, stop, as_json=as_json)
        app = session().application(console=sys.stderr if as_json else None, working=True)
        app.interval = interval
        with _reporter_of_one_run(as_json=as_json) as reporter:
            return _run_once(app, stop, reporter)


def _reporter_of_one_run(*, as_json: bool) -> Reporter:
    if as_json:
        return JsonLines()
    return ProgressBar() if sys.stderr.isatty() else Lines(summary=True)


def _run_once(app: Monitor, stop: Stop, reporter: Reporter) -> int:
    error = app.refresh()
    if error is not None:
        reporter.on_error(error.detail)
    reporter.on_start(len(app.settings.targets))
    reporter.on_cycle(app, app.run_cycle(should_stop=stop, on_observation=reporter.on_observation))
    app.purge()
    return INTERRUPTED if stop.interrupted else OK


def monitor(own: Session, interval: timedelta, stop: Stop, *, as_json: bool = False) -> int:
    """Run passes until stopped. An error at the start is raised; a later error is shown and retried."""
    if not as_json and sys.stdout.isatty():
        from wabawatch.cli.live.view import LiveView  # noqa: PLC0415 - loads parts of rich that only a terminal needs

        reporter: Reporter = LiveView(interval)
    else:
        reporter = JsonLines() if as_json else Lines()
    app = own.application(console=reporter.console, working=True)
    app.interval = interval
    _ = app.settings, app.store.runs(1)
    with reporter:
        Loop(app, interval, stop, reporter).run()
    return OK


class Loop:
    """Passes at a fixed interval, and rounds of notify between them."""

    def __init__(self, app: Monitor, interval: timedelta, stop: Stop, reporter: Reporter) -> None:
        self._app = app
        self._interval = interval
        self._stop = stop
        self._reporter = reporter
        self._notified_at = app.clock.now()

    def run(self) -> None:
        """Run until stopped."""
        while not self._stop():
            next_at = self._app.clock.now() + self._interval
            self._run_cycle()
            self._wait(next_at)

    def _run_cycle(self) -> None:
        try:
            self._reporter.on_config(self._app.refresh())
            self._reporter.on_start(len(self._app.settings.targets))
            cycle = self._app.run_cycle(
                should_stop=self._stop, on_observation=self._reporter.on_observation, on_notify=self._show_round
            )
            self._notified_at = self._app.clock.now()
            self._reporter.on_cycle(self._app, cycle)
            self._app.purge()
        except WabawatchError as error:
            self._reporter.on_error(str(error))

    def _show_round(self, result: NotifyResult) -> None:
        self._reporter.on_round(self._app, result)

    def _wait(self, next_at: datetime) -> None:
        """Wait for the next pass. A pass that took longer than the interval is followed by the next pass at once."""
        self._reporter.on_wait(next_at)
        while (remaining := next_at - self._app.clock.now()) > timedelta(0):
            if self._stop.wait(min(remaining, _CHECK_INTERVAL).total_seconds()):
                return
            if next_at - self._app.clock.now() > timedelta(0):
                self._notify_if_due()

    def _notify_if_due(self) -> None:
        try:
            now = self._app.clock.now()
            if now - self._notified_at < _MAX_NOTIFY_INTERVAL and not self._app.has_notify_work(now):
                return
            self._notified_at = now
            error = self._app.refresh()
            self._reporter.on_config(error)
            self._reporter.on_round(self._app, self._app.notify(error))
        except WabawatchError as error:
            self._reporter.on_error(str(error))
