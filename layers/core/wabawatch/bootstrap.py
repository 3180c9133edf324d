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

from wabawatch.adapters.descriptors import lower_concurrency
from wabawatch.adapters.documents import Document, Documents, FileDocuments, S3Documents
from wabawatch.adapters.notifiers import registry
from wabawatch.adapters.owners import new_owner
from wabawatch.application.config_reload import (
    MissingDocumentError,
    ReloadableConfig,
    configuration_border,
    forget_removal,
    record_removal,
)
from wabawatch.application.heartbeat import HeartbeatSender, beat, begin
from wabawatch.application.poll import DEFAULT_INTERVAL, Poll, PollResult, PollTask
from wabawatch.application.ports import Clock, HealthSource, Notifier, Store, Topic
from wabawatch.config import Heartbeat, Settings, default_settings, load, usual_heartbeat, usual_history
from wabawatch.domain.coverage import Completeness, assess_completeness, incomplete_reason
from wabawatch.domain.health import Observation, Reason
from wabawatch.domain.heartbeat import HeartbeatPing, HeartbeatRules
from wabawatch.domain.routing import Rules
from wabawatch.domain.sharding import shards_for
from wabawatch.errors import ConfigurationError, WabawatchError

if TYPE_CHECKING:  # poll starts faster without what only notify needs
    from wabawatch.application.notify import Notify, NotifyResult
    from wabawatch.messages.notification import RenderContext

logger = logging.getLogger(__name__)

_PATIENCE: Final = 8.0
_PATIENCE_AT_START: Final = 2.0
"""Seconds for the dead-man's switch; at the start of a pass the whole fleet waits for it."""
_TELL_EVERY: Final = timedelta(seconds=30)
"""During a pass: people must hear of an outage within a minute after it is confirmed."""
_WATCHED: Final = "watched"
_LONGEST_PASS: Final = timedelta(minutes=15)
"""What Lambda allows at most."""
_PURGED: Final = "purged"
_PURGE_EVERY: Final = timedelta(days=1)
_PURGE_AT_ONCE: Final = timedelta(days=7)
_NO_TEXT: Final = b"\0"
"""What stands for a configuration without a document; no document can be this."""
_PARAMETERS: Final = Document(_NO_TEXT, "parameters")
"""The minimal configuration, from the environment."""


class _Watched(msgspec.Struct, frozen=True):
    """Which list of targets others were removed for, since when it is in force, and whether that was repeated."""

    mark: str = ""
    changed_at: datetime = datetime.min.replace(tzinfo=UTC)
    is_settled: bool = False


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Cycle(msgspec.Struct, frozen=True):
    """One pass over the whole fleet and the round of notify that followed."""

    polled: PollResult
    notified: NotifyResult


class Parts:
    """What one version of the configuration is made into, each part when it is first asked for."""

    def __init__(self, settings: Settings, application: Monitor) -> None:
        self.settings = settings
        self._application = application

    @cached_property
    def rules(self) -> Rules:
        one = self.settings
        plain = msgspec.to_builtins(one, str_keys=True)  # a runbook has numbers for keys, which cannot be sorted
        version = hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()[:16]
        return Rules(one.policy, one.routes, one.severities, one.windows, one.digest, version)

    @cached_property
    def audience(self) -> RenderContext:
        return _audience(self.settings)

    @cached_property
    def source(self) -> HealthSource:
        from wabawatch.adapters import dialog360  # noqa: PLC0415 - reading state needs no network

        one = self.settings.source
        concurrency, lowered = lower_concurrency(one.concurrency)
        if lowered:
            logger.warning("%s", lowered)
        asked = dialog360.Settings(one.base_url, one.timeout, concurrency, one.requests_per_second)
        return dialog360.Dialog360Source(asked, self._application.secrets, self._application.clock)

    @cached_property
    def notifiers(self) -> dict[str, Notifier]:
        world = registry.NotifyContext(self._application.secrets.key, aws_client, self._application.console)
        places = self.settings.destinations.items()
        return {name: registry.build(name, one.kind, one.options, world) for name, one in places}

    @cached_property
    def alarm_topics(self) -> list[Topic]:
        """Where the monitor's own alarms go, on AWS."""
        from wabawatch.adapters.notifiers.sns import Options, Sns  # noqa: PLC0415 - not needed to poll

        arns = self._application.environment.get("WABAWATCH_MONITOR_TOPIC_ARNS", "")
        world = registry.NotifyContext(self._application.secrets.key, aws_client)
        return [Sns(Options(arn), world) for arn in arns.split(",") if arn]


class Monitor:
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
        local_secrets: bool = True,
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
        self._documents = _documents(config)
        self._resolve = resolve
        self._local_secrets = local_secrets and not _is_in_s3(config)
        self._configured = ReloadableConfig(
            self._documents, self._parse, lambda: self.store, fallback=_fallback(config), remember=remember
        )

    @cached_property
    def store(self) -> Store:
        return open_store(self._state, self.history)

    @property
    def state_file(self) -> Path | None:
        """The file that state is kept in, where it is one."""
        kind, _, name = self._state.partition(":")
        return Path(name) if kind == "sqlite" else None

    @cached_property
    def secrets(self) -> Any:  # noqa: ANN401 - the adapter's own type would be imported by commands that need no secret
        from wabawatch.adapters.secrets import Secrets  # noqa: PLC0415

        return Secrets(self.environment, aws_client, self.clock, local=self._local_secrets)

    # --- configuration

    def refresh(self) -> Reason | None:
        """Read the configuration if it changed; why the last good one goes on instead, if it does."""
        kept = self.history
        trouble = self._configured.refresh()
        if self.history != kept and self._state.startswith(
            "dynamodb:"
        ):  # which gives each row its end as it is written
            self.close()
            self.__dict__.pop("store", None)
        return trouble

    @property
    def history(self) -> timedelta:
        """How long history is kept: as the configuration says, or else as the environment does."""
        parts = self._configured.value
        days = parts.settings.history_days if parts is not None else None
        return usual_history(self.environment) if days is None else timedelta(days=days)

    @property
    def heartbeat(self) -> Heartbeat | None:
        """The dead-man's switch: the configuration's, or else the environment's.

        It is no default of the configuration: one that is uploaded would keep the switch of its day."""
        return self.settings.heartbeat or usual_heartbeat(self.environment)

    @property
    def parts(self) -> Parts:
        if self._configured.value is None:
            self.refresh()
        if self._configured.value is None:
            raise ConfigurationError("there is no configuration")
        return self._configured.value

    def _parse(self, body: bytes) -> Parts:
        """With the rules, which every use case needs: settings that none can be made of are bad ones."""
        name, local_secrets = self._documents.name, self._local_secrets
        settings = _parsed(body, name, self.environment, resolve=self._resolve, local_secrets=local_secrets)
        parts = Parts(settings, self)
        _ = parts.rules
        return parts

    @property
    def settings(self) -> Settings:
        return self.parts.settings

    @property
    def rules(self) -> Rules:
        return self.parts.rules

    @property
    def audience(self) -> RenderContext:
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

        return Notify(
            self.store, self.notifiers, self.clock, self.rules, self.audience, alarm_topics=self.parts.alarm_topics
        )

    def new_run_id(self) -> str:
        return f"{self.clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"

    @property
    def shards(self) -> int:
        """Into how many shards the fleet is divided."""
        return 1 if self.shard_size is None else shards_for(len(self.settings.targets), self.shard_size)

    def forget_unwatched(self, shards: int = 1) -> None:
        """Close what targets hold that left the configuration.

        Does so when the list of targets has changed, or into how many shards it is cut, and once more when every pass
        must have ended that began before: one that was under way may have brought a target back."""
        ids = sorted(target.id for target in self.settings.targets)
        mark = hashlib.sha256("\n".join((str(shards), *ids)).encode()).hexdigest()
        now = self.clock.now()
        known = _watched(self.store.document(_WATCHED))
        is_same = known.mark == mark and known.changed_at <= now
        if is_same and (known.is_settled or now - known.changed_at < _LONGEST_PASS):
            return
        self.poll.forget_all_but(ids, shards=shards)
        done = _Watched(mark, known.changed_at if is_same else now, is_settled=is_same)
        self.store.save_document(_WATCHED, msgspec.json.encode(done))

    def purge_if_due(self) -> int:
        """Forget once a day what is older than the history that is kept; how many rows went.

        Where it is kept for less time than before, a week is forgotten at a time, so that no pass waits long."""
        wanted = self.clock.now() - self.history
        known = self.store.document(_PURGED)
        last = datetime.fromisoformat(known.decode()) if known else wanted - _PURGE_EVERY
        if abs(wanted - last) < _PURGE_EVERY:
            return 0
        before = min(wanted, last + _PURGE_AT_ONCE)
        gone = self.store.purge(before)
        self.store.save_document(_PURGED, before.isoformat().encode())
        return gone

    def cycle(
        self,
        *,
        stopped: Callable[[], bool] = lambda: False,
        heard: Callable[[Observation], None] = lambda _: None,
        notified: Callable[[NotifyResult], None] = lambda _: None,
    ) -> Cycle:
        """One pass over the whole fleet, and the round of notify that tells what it found.

        A pass over a large fleet takes minutes: people are told in the middle of it, too, and `notified` is called with
        what such a round did."""
        trouble = self.refresh()
        self.forget_unwatched()
        run_id = self.new_run_id()
        self.poll.restate_added(run_id)
        self.begin_heartbeat(run_id)
        task = PollTask(run_id, self.settings.targets, interval=self.interval)
        told_at = self.clock.now()

        def hear(observation: Observation) -> None:
            nonlocal told_at
            heard(observation)
            if self.clock.now() - told_at >= _TELL_EVERY:
                self._tell_meanwhile(trouble, notified)
                told_at = self.clock.now()

        polled = self.poll(task, stopped=stopped, heard=hear)
        return Cycle(polled, self.tell(trouble, complete=True))

    def tell(self, trouble: Reason | None, *, complete: bool = False, until: datetime | None = None) -> NotifyResult:
        """One round of notify, and the heartbeat where the configuration asks for one."""
        now = self.clock.now()
        fleet = self._completeness(now)
        troubles = {"configuration": trouble, "coverage": incomplete_reason(fleet, now)}
        notified = self.notify.run(self.owner, troubles=troubles, complete=complete, until=until)
        if not notified.worked:
            return notified
        pulse = self._beat(notified.oldest_undelivered)
        return msgspec.structs.replace(notified, pulse=pulse, unread_for=self._unread_for(fleet, now))

    def _unread_for(self, fleet: Completeness, now: datetime) -> timedelta:
        """How long the whole fleet has not been read. While nothing ever was, how long notify has been at work: it
        remembers since when it has known its destinations."""
        from wabawatch.application.known_destinations import known_destinations  # noqa: PLC0415 - not needed to poll

        age = fleet.age(now)
        if age is not None:
            return age
        return max(now - min(known_destinations(self.store).values(), default=now), timedelta(0))

    def _tell_meanwhile(self, trouble: Reason | None, notified: Callable[[NotifyResult], None]) -> None:
        """Whatever happens, the pass goes on: the round at its end does the same again."""
        try:
            notified(self.tell(trouble))
        except WabawatchError as error:
            logger.warning("%s", error)

    def _completeness(self, now: datetime) -> Completeness:
        """Whether the whole fleet is read, by what its passes stored."""
        return assess_completeness(
            self.store.coverages(),
            shards=self.shards,
            targets=len(self.settings.targets),
            interval=self.interval,
            now=now,
        )

    def has_notify_work(self, now: datetime) -> bool:
        """Whether a round of notify would find something to do: an incident to look at, or a delivery to repeat."""
        if self.store.due_incidents(now, limit=1):
            return True
        return any((queued.retry_at or now) <= now for queued in self.store.queued())

    def begin_heartbeat(self, run_id: str) -> None:
        """Tell the dead-man's switch that a pass over the fleet begins, where the configuration has one. A switch that
        cannot be told now delays nobody and alarms by itself when the success does not come."""
        if self.heartbeat:
            expected = len(self.settings.targets)
            self._ask_switch(_PATIENCE_AT_START, lambda switch: begin(switch, run_id, expected))

    def _beat(self, oldest_undelivered: timedelta) -> HeartbeatPing | None:
        if not (wanted := self.heartbeat):
            return None
        vital = HeartbeatRules(wanted.min_coverage, wanted.max_delivery_age)
        of = self.shards
        return self._ask_switch(_PATIENCE, lambda switch: beat(self.store, switch, vital, oldest_undelivered, of))

    def _ask_switch(
        self, patience: float, ask: Callable[[HeartbeatSender], HeartbeatPing | None]
    ) -> HeartbeatPing | None:
        """Whatever the switch, its address or its server does, it stops nothing. `patience` is in seconds."""
        from wabawatch.adapters.switch import HttpHeartbeatSender  # noqa: PLC0415 - only where a heartbeat is asked for

        wanted = self.heartbeat
        if wanted is None:
            return None
        try:
            return ask(HttpHeartbeatSender(lambda: self._address(wanted.url), patience))
        except WabawatchError as error:
            logger.warning("%s", error)
        except Exception as error:  # noqa: BLE001 - a border; its text may quote the address
            logger.warning("the heartbeat could not be sent: %s", type(error).__name__)
        return None

    def _address(self, url: str) -> str:
        return url if url.startswith(("https://", "http://")) else self.secrets.key(url)

    def close(self) -> None:
        if "store" in self.__dict__:
            self.store.close()


def _watched(body: bytes | None) -> _Watched:
    try:
        return msgspec.json.decode(body or b"", type=_Watched)
    except msgspec.DecodeError:
        return _Watched()


def build(
    state: str,
    config: str | None,
    environment: Mapping[str, str],
    *,
    console: TextIO | None = None,
    remember: bool = True,
    resolve: bool = True,
    local_secrets: bool = True,
) -> Monitor:
    """The application for a state (`sqlite:PATH`, `dynamodb:TABLE`) and a configuration (a path, `s3://bucket/key`, or
    None: the environment's few variables make one).

    Who only looks does not `remember` which version was good: only those who work by it may say so. `resolve` False
    leaves out whether `env:` and `file:` references lead anywhere on this machine; `local_secrets` False refuses
    them, as for every configuration in S3: who writes it says where keys are sent, and must not get what lies here."""
    return Monitor(
        state,
        config,
        environment,
        console=console,
        remember=remember,
        resolve=resolve,
        local_secrets=local_secrets,
    )


def read_settings(
    config: str | None, environment: Mapping[str, str], *, resolve: bool = True, local_secrets: bool = True
) -> Settings:
    """The settings that a place holds now, good or not: no state, no last good version. Raises ConfigurationError."""
    documents = _documents(config)
    with configuration_border(documents.name):
        try:
            text = documents.read()
        except MissingDocumentError:
            if (text := _fallback(config)) is None:
                raise
        body, local_secrets = text.body if text else _NO_TEXT, local_secrets and not _is_in_s3(config)
        return _parsed(body, documents.name, environment, resolve=resolve, local_secrets=local_secrets)


def upload(location: str, body: bytes) -> str:
    """Write the configuration to `s3://BUCKET/KEY`; its version. Raises ConfigurationError."""
    return S3Documents(aws_client("s3"), location).write(body)


def remove(location: str, store: Store) -> None:
    """Delete the configuration at `s3://BUCKET/KEY`, so that the parameters apply for all who work on this state.

    Raises ConfigurationError; an absence that comes later is then none that was meant."""
    documents = S3Documents(aws_client("s3"), location)
    record_removal(store)
    try:
        documents.delete()
    except ConfigurationError:
        forget_removal(store)
        raise


def _parsed(body: bytes, name: str, environment: Mapping[str, str], *, resolve: bool, local_secrets: bool) -> Settings:
    """No document means the minimal configuration, from the environment; an empty one is a mistake like any other."""
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
    """Make a low-level client, whose calls have an end: short time-outs, and a few attempts that adapt to throttling.

    Raises ConfigurationError where AWS is not set up."""
    from botocore.config import Config  # noqa: PLC0415 - local commands need no AWS
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    seconds, attempts = _AWS_PATIENCE.get(service, (10, 3))
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": attempts},
        connect_timeout=2,
        read_timeout=seconds,
        max_pool_connections=32,
        parameter_validation=service != "dynamodb",  # a quarter of the CPU of a transaction of a hundred actions
    )
    try:
        return _aws_session().create_client(service, region_name=region, config=config)
    except BotoCoreError as error:
        raise ConfigurationError(f"AWS is not set up for {service}: {error}") from error


_AWS_PATIENCE: Final[Mapping[str, tuple[int, int]]] = {
    "sns": (5, 2),
    "secretsmanager": (4, 3),
    "ssm": (4, 3),
    "dynamodb": (4, 5),
    "lambda": (130, 1),
}
"""By service: seconds without a byte of the answer, and attempts in all. A delivery waits for the first three, and is
tried again in the next round; without the table there is no round at all. A function that is invoked may take its whole
time, and is not to be started twice."""


@cache
def _aws_session() -> Any:  # noqa: ANN401 - has no stubs
    """One for all clients; without boto3, which loads S3 transfers, and with them multiprocessing, at every start."""
    from botocore.session import get_session  # noqa: PLC0415 - local commands need no AWS

    return get_session()


class _Parameters:
    """No document: the environment alone."""

    name = "environment"

    def read(self, unless: str | None = None) -> Document | None:
        return None if unless else _PARAMETERS

    def version(self, version_id: str | None, mark: str) -> Document:
        return Document(_NO_TEXT, version_id or mark)


def _documents(config: str | None) -> Documents:
    if not config:
        return _Parameters()
    if _is_in_s3(config):
        return S3Documents(aws_client("s3"), config)
    return FileDocuments(Path(config))


def _is_in_s3(config: str | None) -> bool:
    return config is not None and config.startswith("s3://")


def _fallback(config: str | None) -> Document | None:
    """What applies while there is no object in S3: the template's parameters. A file must be there."""
    return _PARAMETERS if _is_in_s3(config) else None


def _audience(settings: Settings) -> RenderContext:
    from wabawatch.domain.notification import Advice, TargetInfo  # noqa: PLC0415
    from wabawatch.messages.notification import RenderContext  # noqa: PLC0415 - not needed to poll
    from wabawatch.messages.runbook import advice  # noqa: PLC0415

    def advise(reason: Reason) -> Advice:
        return advice(reason.code, reason.description, settings.runbook)

    fleet = {one.id: TargetInfo(one.id, one.name, one.labels) for one in settings.targets}
    return RenderContext(fleet, advise, settings.deployment)


__all__ = ["Cycle", "Monitor", "WabawatchError", "build", "default_state", "read_settings", "remove", "upload"]
