"""The session of one invocation: the locations of state and configuration, and the application built from them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TextIO

import click

if TYPE_CHECKING:
    from wabawatch.adapters.cloudformation import Stack
    from wabawatch.monitor import Monitor


_SINGLE_TARGET_VARIABLES: Final = frozenset({"D360_API_KEY", "D360_BASE_URL", "SLACK_WEBHOOK_URL"})
_LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Session:
    """The options of one invocation, and the application built from them. `found` is the stack that `--stack` names."""

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
        """Return the application; the first call builds it.

        `console` is the stream of console destinations. `resolve` requires that local secret references can be
        resolved. `working` means that the process monitors, and so remembers the configuration as the last good one."""
        if self._application is None:
            from wabawatch.bootstrap import build  # noqa: PLC0415 - help and usage errors don't need it

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
        """Look up the stack that `--stack` names, and use its state, configuration and parameters.

        Typed options override the stack; the stack overrides environment variables. Variables that define a single
        target on this machine are ignored."""
        if self.stack is None or self.found is not None:
            return
        from wabawatch.adapters.aws import aws_client  # noqa: PLC0415
        from wabawatch.adapters.cloudformation import find_stack  # noqa: PLC0415 - only --stack needs AWS

        self.found = find_stack(self.stack, aws_client)
        own = {name: value for name, value in self.environment.items() if name not in _SINGLE_TARGET_VARIABLES}
        self.environment = {**own, **self.found.environment}
        is_typed = "stack" in self.typed
        if self.state is None or (is_typed and "state" not in self.typed):
            self.state = self.found.state
        if self.config is None or (is_typed and "config" not in self.typed):
            self.config = self.found.config

    @property
    def where(self) -> str:
        """Return the location of the state store."""
        from wabawatch.bootstrap import default_state  # noqa: PLC0415

        return self.state or default_state(self.environment)

    def close(self) -> None:
        if self._application is not None:
            self._application.close()


def session() -> Session:
    """Return the session of the current invocation."""
    found: Session = click.get_current_context().find_root().ensure_object(dict)["session"]
    return found


def open_session(context: click.Context) -> Session:
    """Return the session of the root context; the first call creates it. It is closed with the context."""
    found = context.find_root().ensure_object(dict)
    if "session" not in found:
        found["session"] = Session(os.environ)
        context.find_root().call_on_close(found["session"].close)
    opened: Session = found["session"]
    return opened


def configure_logging(verbose: int) -> None:
    """Send our own logs to standard error. Other libraries are excluded: their debug lines may contain secrets."""
    root = logging.getLogger("wabawatch")
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_LOG_FORMAT))
    root.addHandler(handler)
    root.propagate = False
    root.setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
