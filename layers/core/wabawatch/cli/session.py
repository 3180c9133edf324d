"""One invocation: where state and configuration are, and the application made of them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TextIO

import click

if TYPE_CHECKING:
    from wabawatch.adapters.stack import Stack
    from wabawatch.bootstrap import Monitor

_OF_ONE_NUMBER: Final = frozenset({"D360_API_KEY", "D360_BASE_URL", "SLACK_WEBHOOK_URL"})
_LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Session:
    """One invocation: what was asked for on the command line and in the environment, and the application made of it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.state: str | None = None
        self.config: str | None = None
        self.stack: str | None = None
        self.verbose = 0
        self.typed: set[str] = set()
        self.found: Stack | None = None
        self._application: Monitor | None = None

    def application(self, *, console: TextIO | None = None, resolve: bool = False, working: bool = False) -> Monitor:
        """Put together when first asked for.

        `console` is where the destinations of that kind write. `resolve` insists that references to secrets lead
        somewhere on this machine; `working` that the configuration is worked by, and not only looked at."""
        if self._application is None:
            from wabawatch.bootstrap import build  # noqa: PLC0415 - help and usage errors need none of it

            self.locate()
            self._application = build(
                self.where,
                self.config,
                self.environment,
                console=console,
                remember=working,
                resolve=resolve or working,
            )
        return self._application

    def locate(self) -> None:
        """Where `--stack` names a deployment, take its table, bucket and parameters for what was not given.

        What was typed wins over the stack, and the stack over variables: those of this machine's own number have no
        business in a deployment."""
        if self.stack is None or self.found is not None:
            return
        from wabawatch.adapters.aws import aws_client  # noqa: PLC0415
        from wabawatch.adapters.stack import find  # noqa: PLC0415 - AWS only for those who ask for it

        self.found = find(self.stack, aws_client)
        own = {name: value for name, value in self.environment.items() if name not in _OF_ONE_NUMBER}
        self.environment = {**own, **self.found.environment}
        is_asked = "stack" in self.typed
        if self.state is None or (is_asked and "state" not in self.typed):
            self.state = self.found.state
        if self.config is None or (is_asked and "config" not in self.typed):
            self.config = self.found.config

    @property
    def where(self) -> str:
        """The state's location."""
        from wabawatch.bootstrap import default_state  # noqa: PLC0415

        return self.state or default_state(self.environment)

    def close(self) -> None:
        if self._application is not None:
            self._application.close()


def session() -> Session:
    """The present invocation's."""
    found: Session = click.get_current_context().find_root().ensure_object(dict)["session"]
    return found


def begin(context: click.Context) -> Session:
    """The session of a root context; made once, and closed with it."""
    known = context.find_root().ensure_object(dict)
    if "session" not in known:
        known["session"] = Session(os.environ)
        context.find_root().call_on_close(known["session"].close)
    opened: Session = known["session"]
    return opened


def configure_logging(verbose: int) -> None:
    """Logs go to standard error, ours only: other libraries' debug lines may hold headers, and so secrets."""
    root = logging.getLogger("wabawatch")
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_LOG_FORMAT))
    root.addHandler(handler)
    root.propagate = False
    root.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
