"""The composition root: the only place that picks adapters."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec

from wabawatch.adapters.documents import Document, Documents, FileDocuments, MissingDocumentError, S3Documents
from wabawatch.adapters.notifiers import registry
from wabawatch.adapters.owners import new_owner
from wabawatch.application.configured import Configured
from wabawatch.application.errors import ConfigurationError, WabawatchError
from wabawatch.application.heartbeat import Switch, beat, begin
from wabawatch.application.poll import DEFAULT_INTERVAL, Pass, Poll, Polled
from wabawatch.application.ports import Clock, HealthSource, Notifier, Store
from wabawatch.config import Settings, default_settings, load
from wabawatch.domain.health import Observation, Reason
from wabawatch.domain.heartbeat import Pulse, Vital
from wabawatch.domain.rules import Rules
from wabawatch.domain.sharding import shards_for

if TYPE_CHECKING:  # poll starts faster without what only notify needs
    from wabawatch.application.notify import Notified, Notify
    from wabawatch.domain.composition import Audience

logger = logging.getLogger(__name__)

_PATIENCE: Final = 8.0
_PATIENCE_AT_START: Final = 2.0
"""Seconds for the dead-man's switch; at the start of a pass the whole fleet waits for it."""
_WATCHED: Final = "watched"
_NO_TEXT: Final = b"\0"
"""What stands for a configuration without a document; no document can be this."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Cycle(msgspec.Struct, frozen=True):
    """One pass over the whole fleet and the round of notify that followed."""

    polled: Polled
    notified: Notified


class Parts:
    """What one version of the configuration is made into, each part when it is first asked for."""

    def __init__(self, settings: Settings, application: Application) -> None:
        self.settings = settings
        self._application = application

    @cached_property
    def rules(self) -> Rules:
        one = self.settings
        version = hashlib.sha256(msgspec.json.encode(one, order="sorted")).hexdigest()[:16]
        return Rules(one.policy, one.routes, one.severities, one.windows, one.digest, version)

    @cached_property
    def audience(self) -> Audience:
        return _audience(self.settings)

    @cached_property
    def source(self) -> HealthSource:
        from wabawatch.adapters import dialog360  # noqa: PLC0415 - reading state needs no network

        one = self.settings.source
        asked = dialog360.Settings(one.base_url, one.timeout, one.concurrency, one.requests_per_second)
        return dialog360.Dialog360Source(asked, self._application.secrets, self._application.clock)

    @cached_property
    def notifiers(self) -> dict[str, Notifier]:
        world = registry.World(self._application.secrets.key, aws_client, self._application.console)
        places = self.settings.destinations.items()
        return {name: registry.build(name, one.kind, one.options, world) for name, one in places}


class Application:
    """Everything put together, each part when it is first used, anew where the configuration changed."""

    def __init__(
        self,
        state: str,
        config: str | None,
        environment: Mapping[str, str],
        *,
        console: TextIO | None = None,
        clock: Clock | None = None,
        remember: bool = True,
        resolve: bool = True,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.owner = new_owner()
        self.environment = environment
        self._state = state
        self.console = console
        self.interval = DEFAULT_INTERVAL
        """Between two passes; whoever starts the passes knows it."""
        self.shard_size: int | None = None
        """About how many targets a shard has; None: the fleet is read in one pass."""
        self._parts: Parts | None = None
        self._documents = _documents(config)
        self._resolve = resolve
        self._configured = Configured(self._documents, self._parse, lambda: self.store, remember=remember)

    @cached_property
    def store(self) -> Store:
        days = float(self.environment.get("WABAWATCH_HISTORY_DAYS", "400"))
        return open_store(self._state, timedelta(days=days))

    @cached_property
    def secrets(self) -> Any:  # noqa: ANN401 - the adapter's own type would be imported by commands that need no secret
        from wabawatch.adapters.secrets import Secrets  # noqa: PLC0415

        return Secrets(self.environment, aws_client, self.clock)

    # --- configuration

    def refresh(self) -> Reason | None:
        """Read the configuration if it changed; why the last good one goes on instead, if it does."""
        return self._configured.refresh()

    @property
    def parts(self) -> Parts:
        if self._configured.value is None:
            self.refresh()
        settings = self._configured.value
        if settings is None:
            raise ConfigurationError("there is no configuration")
        if self._parts is None or self._parts.settings is not settings:
            self._parts = Parts(settings, self)
        return self._parts

    def _parse(self, body: bytes) -> Settings:
        return _parsed(body, self._documents.name, self.environment, resolve=self._resolve)

    @property
    def settings(self) -> Settings:
        return self.parts.settings

    @property
    def rules(self) -> Rules:
        return self.parts.rules

    @property
    def audience(self) -> Audience:
        return self.parts.audience

    @property
    def source(self) -> HealthSource:
        return self.parts.source

    @property
    def notifiers(self) -> Mapping[str, Notifier]:
        return self.parts.notifiers

    # --- use cases

    @property
    def poll(self) -> Poll:
        return Poll(self.store, self.source, self.clock, self.rules.policy)

    @property
    def notify(self) -> Notify:
        from wabawatch.application.notify import Notify  # noqa: PLC0415 - not needed to poll

        return Notify(self.store, self.notifiers, self.clock, self.rules, self.audience)

    def new_run_id(self) -> str:
        return f"{self.clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"

    @property
    def shards(self) -> int:
        """Into how many shards the fleet is divided."""
        return 1 if self.shard_size is None else shards_for(len(self.settings.targets), self.shard_size)

    def forget_unwatched(self, shards: int = 1) -> None:
        """Close what targets hold that left the configuration; looks only when the list of targets has changed, or into
        how many shards it is cut."""
        ids = sorted(target.id for target in self.settings.targets)
        mark = hashlib.sha256("\n".join((str(shards), *ids)).encode()).hexdigest().encode()
        if self.store.document(_WATCHED) != mark:
            self.poll.forget_all_but(ids, shards=shards)
            self.store.save_document(_WATCHED, mark)

    def cycle(
        self,
        *,
        stopped: Callable[[], bool] = lambda: False,
        heard: Callable[[Observation], None] = lambda _: None,
    ) -> Cycle:
        """One pass over the whole fleet, and the round of notify that tells what it found."""
        trouble = self.refresh()
        self.forget_unwatched()
        run_id = self.new_run_id()
        self.poll.restate_added(run_id)
        self.begin_heartbeat(run_id)
        task = Pass(run_id, self.settings.targets, interval=self.interval)
        polled = self.poll(task, stopped=stopped, heard=heard)
        return Cycle(polled, self.tell(trouble, complete=True))

    def tell(self, trouble: Reason | None, *, complete: bool = False, until: datetime | None = None) -> Notified:
        """One round of notify, and the heartbeat where the configuration asks for one."""
        notified = self.notify(self.owner, troubles={"configuration": trouble}, complete=complete, until=until)
        if not notified.worked:
            return notified
        return msgspec.structs.replace(notified, pulse=self._beat(notified.oldest_undelivered))

    def begin_heartbeat(self, run_id: str) -> None:
        """Tell the dead-man's switch that a pass over the fleet begins, where the configuration has one. A switch that
        cannot be told now delays nobody and alarms by itself when the success does not come."""
        if self.settings.heartbeat:
            expected = len(self.settings.targets)
            self._ask_switch(_PATIENCE_AT_START, lambda switch: begin(switch, run_id, expected))

    def _beat(self, oldest_undelivered: timedelta) -> Pulse | None:
        if not (wanted := self.settings.heartbeat):
            return None
        vital = Vital(wanted.min_coverage, wanted.max_delivery_age)
        of = self.shards
        return self._ask_switch(_PATIENCE, lambda switch: beat(self.store, switch, vital, oldest_undelivered, of))

    def _ask_switch(self, patience: float, ask: Callable[[Switch], Pulse | None]) -> Pulse | None:
        """`patience` is in seconds."""
        from wabawatch.adapters.switch import HttpSwitch  # noqa: PLC0415 - only where a heartbeat is asked for

        wanted = self.settings.heartbeat
        if wanted is None:
            return None
        try:
            return ask(HttpSwitch(lambda: self._address(wanted.url), patience))
        except WabawatchError as error:
            logger.warning("%s", error)
            return None

    def _address(self, url: str) -> str:
        return url if url.startswith(("https://", "http://")) else self.secrets.key(url)

    def close(self) -> None:
        if "store" in self.__dict__:
            self.store.close()


def assemble(
    state: str,
    config: str | None,
    environment: Mapping[str, str],
    *,
    console: TextIO | None = None,
    remember: bool = True,
    resolve: bool = True,
) -> Application:
    """The application for a state (`sqlite:PATH`, `dynamodb:TABLE`) and a configuration (a path, `s3://bucket/key`, or
    None: the environment's few variables make one).

    Who only looks does not `remember` which version was good: only those who work by it may say so. `resolve` False
    leaves out whether `env:` and `file:` references lead anywhere on this machine."""
    return Application(state, config, environment, console=console, remember=remember, resolve=resolve)


def read_settings(config: str | None, environment: Mapping[str, str], *, resolve: bool = True) -> Settings:
    """The settings that a place holds now, good or not: no state, no last good version. Raises ConfigurationError."""
    documents = _documents(config)
    text = documents.read()
    return _parsed(text.body if text else _NO_TEXT, documents.name, environment, resolve=resolve)


def upload(location: str, body: bytes) -> str:
    """Write the configuration to `s3://BUCKET/KEY`; its version. Raises ConfigurationError."""
    return S3Documents(aws_client("s3"), location).write(body)


def _parsed(body: bytes, name: str, environment: Mapping[str, str], *, resolve: bool) -> Settings:
    """No document means the minimal configuration, from the environment; an empty one is a mistake like any other."""
    if body == _NO_TEXT:
        return default_settings(environment, destination_kinds=registry.OPTIONS)
    return load(body, name, environment=environment, destination_kinds=registry.OPTIONS, resolve=resolve)


def default_state(environment: Mapping[str, str]) -> str:
    """Where state is kept on this machine when nobody says otherwise: the user's state directory (XDG)."""
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return f"sqlite:{home}/wabawatch/state.db"


def open_store(state: str, history: timedelta) -> Store:
    """Raises ConfigurationError for a state that is neither `sqlite:PATH` nor `dynamodb:TABLE`."""
    kind, _, name = state.partition(":")
    if kind == "sqlite" and name:
        from wabawatch.adapters.stores.sqlite import SqliteStore  # noqa: PLC0415 - one store, not both

        return SqliteStore(Path(name))
    if kind == "dynamodb" and name:
        from wabawatch.adapters.stores.dynamodb import DynamoStore  # noqa: PLC0415

        return DynamoStore(aws_client("dynamodb"), name, history)
    raise ConfigurationError(f"state {state!r}: write sqlite:PATH or dynamodb:TABLE (--state or WABAWATCH_STATE)")


def aws_client(service: str, region: str | None = None) -> Any:  # noqa: ANN401 - one of many client types, by name
    """A low-level client with retries that adapt to throttling and short time-outs. Raises ConfigurationError where AWS
    is not set up."""
    from botocore.config import Config  # noqa: PLC0415 - local commands need no AWS
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    retries = Config(
        retries={"mode": "adaptive", "max_attempts": 6}, connect_timeout=3, read_timeout=10, max_pool_connections=32
    )
    try:
        return _aws_session().create_client(service, region_name=region, config=retries)
    except BotoCoreError as error:
        raise ConfigurationError(f"AWS is not set up for {service}: {error}") from error


@cache
def _aws_session() -> Any:  # noqa: ANN401 - has no stubs
    """One for all clients; without boto3, which loads S3 transfers, and with them multiprocessing, at every start."""
    from botocore.session import get_session  # noqa: PLC0415 - local commands need no AWS

    return get_session()


class _Parameters:
    """No document: the environment alone."""

    name = "environment"

    def read(self, unless: str | None = None) -> Document | None:
        return None if unless else Document(_NO_TEXT, "parameters")

    def version(self, version_id: str | None, mark: str) -> Document:
        return Document(_NO_TEXT, version_id or mark)


class _OrParameters:
    """An object in S3; while there is none, the template's parameters."""

    def __init__(self, documents: Documents) -> None:
        self.name = documents.name
        self._documents = documents

    def read(self, unless: str | None = None) -> Document | None:
        try:
            return self._documents.read(unless)
        except MissingDocumentError:
            return _Parameters().read("" if unless != "parameters" else unless)

    def version(self, version_id: str | None, mark: str) -> Document:
        return self._documents.version(version_id, mark)


def _documents(config: str | None) -> Documents:
    if not config:
        return _Parameters()
    if config.startswith("s3://"):
        return _OrParameters(S3Documents(aws_client("s3"), config))
    return FileDocuments(Path(config))


def _audience(settings: Settings) -> Audience:
    from wabawatch.domain.composition import Audience  # noqa: PLC0415 - not needed to poll
    from wabawatch.domain.messages import Advice, Affected  # noqa: PLC0415
    from wabawatch.domain.runbook import advice  # noqa: PLC0415

    def advise(reason: Reason) -> Advice:
        return advice(reason.code, reason.description, settings.runbook)

    fleet = {one.id: Affected(one.id, one.name, one.labels) for one in settings.targets}
    return Audience(fleet, advise, settings.deployment)


__all__ = ["Application", "Cycle", "WabawatchError", "assemble", "default_state", "read_settings", "upload"]
