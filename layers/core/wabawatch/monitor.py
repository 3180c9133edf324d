"""The monitor: run cycles, poll, notify, send heartbeats, purge. The CLI and the functions drive it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from wabawatch.application.config_reload import FleetChanges, ReloadableConfig
from wabawatch.application.heartbeat import HeartbeatSender, send_heartbeat, send_start
from wabawatch.application.poll import Poll, PollResult, PollTask
from wabawatch.application.ports import Clock, HealthSource, Notifier, Store, Topic
from wabawatch.config import Heartbeat, Settings
from wabawatch.domain.coverage import Completeness, assess_completeness
from wabawatch.domain.health import Observation, Reason
from wabawatch.domain.heartbeat import HeartbeatPing, HeartbeatRules
from wabawatch.domain.incident import Incident
from wabawatch.domain.routing import Rules
from wabawatch.domain.sharding import shards_for
from wabawatch.errors import ConfigurationError, WabawatchError
from wabawatch.messages.runbook import incomplete_reason

if TYPE_CHECKING:  # poll starts faster without what only notify needs
    from wabawatch.adapters.secrets import Secrets
    from wabawatch.application.notify import Notify, NotifyResult
    from wabawatch.application.planner import Planned
    from wabawatch.messages.notification import RenderContext

logger = logging.getLogger(__name__)

_HEARTBEAT_TIMEOUT: Final = 8.0
_START_TIMEOUT: Final = 2.0
"""Seconds for the dead-man's switch; at the start of a pass the whole fleet waits for it."""
_NOTIFY_EVERY: Final = timedelta(seconds=30)
"""During a pass: people must be notified of an outage within a minute after it is confirmed."""
_PURGED: Final = "purged"
_PURGE_EVERY: Final = timedelta(days=1)
_PURGE_AT_ONCE: Final = timedelta(days=7)


class Parts(Protocol):
    """What one version of the configuration is made into."""

    settings: Settings
    rules: Rules

    @property
    def audience(self) -> RenderContext: ...

    @property
    def source(self) -> HealthSource: ...

    @property
    def notifiers(self) -> Mapping[str, Notifier]: ...

    @property
    def alarm_topics(self) -> list[Topic]:
        """Return the topics of the monitor's own alarms."""
        ...


class State(Protocol):
    """The store, opened when it is first used."""

    @property
    def file(self) -> Path | None: ...

    def open(self, history: timedelta) -> Store: ...

    def close(self) -> None: ...


class CycleResult(msgspec.Struct, frozen=True):
    """The outcome of one pass over the whole fleet and of the round of notify that followed."""

    polled: PollResult
    notified: NotifyResult


class Monitor:
    """Watch a fleet: every part follows the configuration, and the use cases run on the same store."""

    def __init__(
        self,
        *,
        config: ReloadableConfig[Parts],
        state: State,
        secrets: Callable[[], Secrets],
        heartbeat_sender: Callable[[str, float], HeartbeatSender],
        clock: Clock,
        owner: str,
        default_history: Callable[[], timedelta],
        default_heartbeat: Heartbeat | None,
        interval: timedelta,
        shard_size: int | None,
    ) -> None:
        """`owner` identifies this process in leases. `heartbeat_sender` takes a URL or a reference to one, and a
        time-out in seconds. `interval` is the time between two passes; `shard_size` about how many targets a shard has
        (None: the fleet is read in one pass)."""
        self.clock = clock
        self.interval = interval
        self.shard_size = shard_size
        self._config = config
        self._state = state
        self._secrets = secrets
        self._heartbeat_sender = heartbeat_sender
        self._owner = owner
        self._default_history = default_history
        self._default_heartbeat = default_heartbeat

    # --- the configuration and what it is made into

    def refresh(self) -> Reason | None:
        """Read the configuration if it changed; return why the last good version stays in use, if it does."""
        return self._config.refresh()

    @property
    def parts(self) -> Parts:
        if self._config.value is None:
            self.refresh()
        if self._config.value is None:
            raise ConfigurationError("there is no configuration")
        return self._config.value

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

    @property
    def secrets(self) -> Secrets:
        return self._secrets()

    @property
    def heartbeat(self) -> Heartbeat | None:
        """The dead-man's switch: the configuration's, or else the environment's.

        The environment's is not a default of the configuration: an uploaded configuration would keep an old one."""
        return self.settings.heartbeat or self._default_heartbeat

    @property
    def history(self) -> timedelta:
        """How long history is kept: as the configuration says, or else as the environment does."""
        parts = self._config.value
        days = parts.settings.history_days if parts is not None else None
        return self._default_history() if days is None else timedelta(days=days)

    @property
    def store(self) -> Store:
        return self._state.open(self.history)

    @property
    def state_file(self) -> Path | None:
        """The file that holds the state, where it is one."""
        return self._state.file

    @property
    def shards(self) -> int:
        """Into how many shards the fleet is divided."""
        return 1 if self.shard_size is None else shards_for(len(self.settings.targets), self.shard_size)

    def close(self) -> None:
        self._state.close()

    # --- poll

    def new_run_id(self) -> str:
        return f"{self.clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"

    def run_cycle(
        self,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        on_observation: Callable[[Observation], None] = lambda _: None,
        on_notify: Callable[[NotifyResult], None] = lambda _: None,
    ) -> CycleResult:
        """Run one pass over the whole fleet, and the round of notify that sends what it found.

        A pass over a large fleet takes minutes, so that notify runs in the middle of it, too; `on_notify` is called
        with the result of such a round."""
        trouble = self.refresh()
        run_id = self.new_run_id()
        self.begin_run(run_id)
        notified_at = self.clock.now()

        def take(observation: Observation) -> None:
            nonlocal notified_at
            on_observation(observation)
            if self.clock.now() - notified_at >= _NOTIFY_EVERY:
                try:
                    on_notify(self.notify(trouble))
                except WabawatchError as error:  # the pass goes on: the round at its end does the same again
                    logger.warning("%s", error)
                notified_at = self.clock.now()

        task = PollTask(run_id, self.settings.targets, interval=self.interval)
        polled = self.poll(task, should_stop=should_stop, on_observation=take)
        return CycleResult(polled, self.notify(trouble, complete=True))

    def begin_run(self, run_id: str) -> None:
        """Send that a run begins, and apply changes of the fleet and of the monitored capabilities."""
        expected = len(self.settings.targets)
        self._send(_START_TIMEOUT, lambda sender, _: send_start(sender, run_id, expected))
        self.apply_targets()
        FleetChanges(self.store, self.clock, self.rules.policy).apply_capabilities(run_id)

    def apply_targets(self) -> None:
        """Close what is open about targets that left the configuration."""
        changes = FleetChanges(self.store, self.clock, self.rules.policy)
        changes.apply_targets((target.id for target in self.settings.targets), self.shards)

    def poll(
        self,
        task: PollTask,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        on_observation: Callable[[Observation], None] = lambda _: None,
    ) -> PollResult:
        """Run one pass."""
        poll = Poll(self.store, self.source, self.clock, self.rules.policy)
        return poll.run(task, should_stop=should_stop, on_observation=on_observation)

    # --- notify

    def notify(self, trouble: Reason | None, *, complete: bool = False, until: datetime | None = None) -> NotifyResult:
        """Run one round of notify, and send the heartbeat where one is due. `trouble` is what `refresh` returned."""
        now = self.clock.now()
        fleet = self._completeness(now)
        troubles = {"configuration": trouble, "coverage": incomplete_reason(fleet, now)}
        notified = self._notify().run(self._owner, troubles=troubles, complete=complete, until=until)
        if not notified.worked:
            return notified
        ping = self._send(
            _HEARTBEAT_TIMEOUT,
            lambda sender, wanted: send_heartbeat(
                self.store,
                sender,
                rules=HeartbeatRules(wanted.min_coverage, wanted.max_delivery_age),
                oldest_undelivered=notified.oldest_undelivered,
                shards=self.shards,
            ),
        )
        return msgspec.structs.replace(notified, heartbeat=ping, unread_for=self._unread_for(fleet, now))

    def explain(self, incident: Incident) -> list[Planned]:
        """Return what each destination would be sent about an incident now, and why; change nothing."""
        return self._notify().explain(incident)

    def has_notify_work(self, now: datetime) -> bool:
        """Return whether notify has something to do: an incident that is due, or a delivery to repeat."""
        if self.store.due_incidents(now, limit=1):
            return True
        return any((queued.retry_at or now) <= now for queued in self.store.queued())

    def _notify(self) -> Notify:
        from wabawatch.application.notify import Notify  # noqa: PLC0415 - not needed to poll

        parts = self.parts
        return Notify(
            self.store, self.notifiers, self.clock, self.rules, self.audience, alarm_topics=parts.alarm_topics
        )

    def _completeness(self, now: datetime) -> Completeness:
        """Return whether the whole fleet is read, by the stored coverage of its passes."""
        return assess_completeness(
            self.store.coverages(),
            shards=self.shards,
            targets=len(self.settings.targets),
            interval=self.interval,
            now=now,
        )

    def _unread_for(self, fleet: Completeness, now: datetime) -> timedelta:
        """Return how long the whole fleet has not been read. Before the first complete run: how long notify has known
        its destinations."""
        from wabawatch.application.planner import known_destinations  # noqa: PLC0415 - not needed to poll

        age = fleet.age(now)
        if age is not None:
            return age
        return max(now - min(known_destinations(self.store).values(), default=now), timedelta(0))

    # --- heartbeat and purge

    def _send(
        self, timeout: float, send: Callable[[HeartbeatSender, Heartbeat], HeartbeatPing | None]
    ) -> HeartbeatPing | None:
        """Send to the dead-man's switch, where one is configured. A failure stops nothing: the switch alarms by itself
        when no success comes."""
        wanted = self.heartbeat
        if wanted is None:
            return None
        try:
            return send(self._heartbeat_sender(wanted.url, timeout), wanted)
        except WabawatchError as error:
            logger.warning("%s", error)
        except Exception as error:  # noqa: BLE001 - a border; its text may quote the address
            logger.warning("the heartbeat could not be sent: %s", type(error).__name__)
        return None

    def purge(self) -> int:
        """Delete once a day what is older than the history that is kept; return how many rows went.

        After the retention was shortened, at most a week is deleted at a time, so that no pass waits long."""
        wanted = self.clock.now() - self.history
        known = self.store.document(_PURGED)
        last = datetime.fromisoformat(known.decode()) if known else wanted - _PURGE_EVERY
        if abs(wanted - last) < _PURGE_EVERY:
            return 0
        before = min(wanted, last + _PURGE_AT_ONCE)
        removed = self.store.purge(before)
        self.store.save_document(_PURGED, before.isoformat().encode())
        return removed
