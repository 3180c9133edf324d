"""The composition root: the only place that picks adapters. `build` puts the monitor together."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import msgspec

from wabawatch.adapters.aws import aws_client
from wabawatch.adapters.config_source import ConfigDocument, ConfigSource, FileConfigSource, S3ConfigSource
from wabawatch.adapters.notifiers import registry
from wabawatch.adapters.process import lower_concurrency, new_process_id
from wabawatch.application.config_reload import (
    MissingDocumentError,
    ReloadableConfig,
    configuration_border,
    forget_removal,
    record_removal,
)
from wabawatch.application.heartbeat import HeartbeatSender
from wabawatch.application.poll import DEFAULT_INTERVAL
from wabawatch.application.ports import Clock, HealthSource, Notifier, Store, Topic
from wabawatch.config import Settings, default_settings, load, usual_heartbeat, usual_history
from wabawatch.domain.health import Reason
from wabawatch.domain.routing import Rules
from wabawatch.errors import ConfigurationError, UnavailableError
from wabawatch.monitor import Monitor

if TYPE_CHECKING:  # poll starts faster without what only notify needs
    from wabawatch.adapters.secrets import Secrets
    from wabawatch.messages.notification import RenderContext

logger = logging.getLogger(__name__)

_NO_TEXT: Final = b"\0"
"""Stands for a configuration without a document; no document can be this."""
_PARAMETERS: Final = ConfigDocument(_NO_TEXT, "parameters")
"""The minimal configuration, from the environment."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ConfiguredParts:
    """The parts that one version of the configuration is made into. Each is built when it is first used: poll loads no
    notifiers."""

    def __init__(
        self,
        settings: Settings,
        *,
        secrets: Callable[[], Secrets],
        clock: Clock,
        console: TextIO | None,
        alarm_topic_arns: str,
    ) -> None:
        """`alarm_topic_arns`: where the monitor's own alarms go on AWS, separated by commas."""
        self.settings = settings
        self.rules = _rules(settings)
        self._secrets = secrets
        self._clock = clock
        self._console = console
        self._alarm_topic_arns = alarm_topic_arns

    @cached_property
    def audience(self) -> RenderContext:
        from wabawatch.domain.health import TargetInfo  # noqa: PLC0415
        from wabawatch.domain.notification import Advice  # noqa: PLC0415 - not needed to poll
        from wabawatch.messages.notification import RenderContext  # noqa: PLC0415
        from wabawatch.messages.runbook import advice  # noqa: PLC0415

        settings = self.settings

        def advise(reason: Reason) -> Advice:
            return advice(reason.code, reason.description, settings.runbook)

        fleet = {target.id: TargetInfo(target.id, target.name, target.labels) for target in settings.targets}
        return RenderContext(fleet, advise, settings.deployment)

    @cached_property
    def source(self) -> HealthSource:
        from wabawatch.adapters import dialog360  # noqa: PLC0415 - reading state needs no network

        wanted = self.settings.source
        concurrency, warning = lower_concurrency(wanted.concurrency)
        if warning:
            logger.warning("%s", warning)
        settings = dialog360.Settings(wanted.base_url, wanted.timeout, concurrency, wanted.requests_per_second)
        return dialog360.Dialog360Source(settings, self._secrets(), self._clock)

    @cached_property
    def notifiers(self) -> dict[str, Notifier]:
        world = registry.NotifyContext(self._secrets().key, aws_client, self._console)
        return {
            name: registry.build(name, destination.kind, destination.options, world)
            for name, destination in self.settings.destinations.items()
        }

    @cached_property
    def alarm_topics(self) -> list[Topic]:
        from wabawatch.adapters.notifiers.sns import Options, Sns  # noqa: PLC0415 - not needed to poll

        world = registry.NotifyContext(self._secrets().key, aws_client)
        return [Sns(Options(arn), world) for arn in self._alarm_topic_arns.split(",") if arn]


def _rules(settings: Settings) -> Rules:
    plain = msgspec.to_builtins(settings, str_keys=True)  # a runbook has numbers for keys, which cannot be sorted
    version = hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()[:16]
    return Rules(
        policy=settings.policy,
        routes=settings.routes,
        severities=settings.severities,
        windows=settings.windows,
        digest=settings.digest,
        version=version,
    )


class StateHandle:
    """The store at a location, opened when it is first used.

    DynamoDB writes the expiry of a row with the row, so that its store is opened again when the retention has
    changed."""

    def __init__(self, state: str) -> None:
        self._state = state
        self.opened: Store | None = None
        self.history = timedelta(0)

    @property
    def file(self) -> Path | None:
        """The file that holds the state, where it is one."""
        kind, _, name = self._state.partition(":")
        return Path(name) if kind == "sqlite" else None

    def open(self, history: timedelta) -> Store:
        """Return the store, which keeps history for so long. Raises ConfigurationError, StoreError."""
        if self.history != history and self._state.startswith("dynamodb:"):
            self.close()
        if self.opened is None:
            self.opened, self.history = open_store(self._state, history), history
        return self.opened

    def close(self) -> None:
        if self.opened is not None:
            self.opened.close()
            self.opened = None


def build(
    state: str,
    config: str | None,
    environment: Mapping[str, str],
    *,
    console: TextIO | None = None,
    clock: Clock | None = None,
    interval: timedelta = DEFAULT_INTERVAL,
    shard_size: int | None = None,
    remember: bool = True,
    resolve: bool = True,
    local_secrets: bool = True,
) -> Monitor:
    """Build the monitor for a state (`sqlite:PATH`, `dynamodb:TABLE`) and a configuration (a path, `s3://bucket/key`,
    or None: a few variables of the environment).

    `shard_size` None polls the fleet in one pass. `remember` False does not record which version of the configuration
    was good: for commands that only look. `resolve` False does not check that `env:` and `file:` references can
    be resolved on this machine. `local_secrets` False refuses such references, as for every configuration in S3: its
    author decides where keys are sent, and must not get secrets of this machine."""
    clock = clock or SystemClock()
    source = _config_source(config)
    local_secrets = local_secrets and not _is_in_s3(config)
    handle = StateHandle(state)

    @cache
    def secrets() -> Secrets:
        from wabawatch.adapters.secrets import Secrets  # noqa: PLC0415 - some commands need no secret

        return Secrets(environment, aws_client, clock, local=local_secrets)

    def parse(body: bytes) -> ConfiguredParts:
        return ConfiguredParts(
            _parse(body, source.name, environment, resolve=resolve, local_secrets=local_secrets),
            secrets=secrets,
            clock=clock,
            console=console,
            alarm_topic_arns=environment.get("WABAWATCH_MONITOR_TOPIC_ARNS", ""),
        )

    def heartbeat_sender(url: str, timeout: float) -> HeartbeatSender:
        from wabawatch.adapters.http import HttpHeartbeatSender  # noqa: PLC0415 - only with a heartbeat

        is_url = url.startswith(("https://", "http://"))
        return HttpHeartbeatSender(lambda: url if is_url else secrets().key(url), timeout)

    monitor = Monitor(
        config=ReloadableConfig(source, parse, lambda: monitor.store, fallback=_fallback(config), remember=remember),
        state=handle,
        secrets=secrets,
        heartbeat_sender=heartbeat_sender,
        clock=clock,
        owner=new_process_id(),
        default_history=lambda: usual_history(environment),
        default_heartbeat=usual_heartbeat(environment),
        interval=interval,
        shard_size=shard_size,
    )
    return monitor


def read_settings(
    config: str | None, environment: Mapping[str, str], *, resolve: bool = True, local_secrets: bool = True
) -> Settings:
    """Read the settings that a place holds now, without state or a last good version. Raises ConfigurationError."""
    documents = _config_source(config)
    with configuration_border(documents.name):
        try:
            text = documents.read()
        except MissingDocumentError:
            if (text := _fallback(config)) is None:
                raise
        body, local_secrets = text.body if text else _NO_TEXT, local_secrets and not _is_in_s3(config)
        return _parse(body, documents.name, environment, resolve=resolve, local_secrets=local_secrets)


def upload(location: str, body: bytes) -> str:
    """Write the configuration to `s3://BUCKET/KEY`; return its version. Raises ConfigurationError."""
    return S3ConfigSource(aws_client("s3"), location).write(body)


def remove(location: str, store: Store) -> None:
    """Delete the configuration at `s3://BUCKET/KEY`, so that the parameters apply to everything on this state.

    Raises ConfigurationError; then a later absence counts as an accident."""
    documents = S3ConfigSource(aws_client("s3"), location)
    record_removal(store)
    try:
        documents.delete()
    except (ConfigurationError, UnavailableError):
        forget_removal(store)
        raise


def _parse(body: bytes, name: str, environment: Mapping[str, str], *, resolve: bool, local_secrets: bool) -> Settings:
    """Parse a document. No document means the minimal configuration, from the environment; an empty one is an error."""
    if body == _NO_TEXT:
        return default_settings(environment, destination_kinds=registry.OPTIONS, local_secrets=local_secrets)
    return load(
        body,
        name,
        environment=environment,
        destination_kinds=registry.OPTIONS,
        resolve=resolve,
        local_secrets=local_secrets,
    )


def default_state(environment: Mapping[str, str]) -> str:
    """Return the default location of the state: the user's state directory (XDG)."""
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return f"sqlite:{home}/wabawatch/state.db"


def open_store(state: str, history: timedelta) -> Store:
    """Open a store. Raises ConfigurationError for a state that is neither `sqlite:PATH` nor `dynamodb:TABLE`."""
    kind, _, name = state.partition(":")
    if kind == "sqlite" and name:
        from wabawatch.adapters.stores.sqlite import SqliteStore  # noqa: PLC0415 - one store, not both

        return SqliteStore(Path(name))
    if kind == "dynamodb" and name:
        from wabawatch.adapters.stores.dynamodb import DynamoDBStore  # noqa: PLC0415

        return DynamoDBStore(aws_client("dynamodb"), name, history)
    raise ConfigurationError(f"state {state!r}: write sqlite:PATH or dynamodb:TABLE (--state or WABAWATCH_STATE)")


class _Parameters:
    """The configuration source without a document: the environment alone."""

    name = "environment"

    def read(self, unless: str | None = None) -> ConfigDocument | None:
        return None if unless else _PARAMETERS

    def version(self, version_id: str | None, mark: str) -> ConfigDocument:
        return ConfigDocument(_NO_TEXT, version_id or mark)


def _config_source(config: str | None) -> ConfigSource:
    if not config:
        return _Parameters()
    if _is_in_s3(config):
        return S3ConfigSource(aws_client("s3"), config)
    return FileConfigSource(Path(config))


def _is_in_s3(config: str | None) -> bool:
    return config is not None and config.startswith("s3://")


def _fallback(config: str | None) -> ConfigDocument | None:
    """Return what applies while there is no object in S3: the template's parameters. A file must be there."""
    return _PARAMETERS if _is_in_s3(config) else None
