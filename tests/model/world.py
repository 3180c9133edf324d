"""The system under test and, beside it, the model: what is true, and what was ever seen and said."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import time, timedelta

import msgspec

from tests.application.fakes import FakeClock, targets
from tests.crash.killable_store import Fate, KilledError, MortalNotifier, MortalStore
from tests.model.destination import Destination
from tests.model.system import OldReadings, Readings, Recorder, StaleStore
from wabawatch.application.config_reload import FleetChanges
from wabawatch.application.notify import Notify
from wabawatch.application.poll import Poll, PollTask
from wabawatch.domain.health import (
    AVAILABLE,
    MESSAGING,
    READABLE,
    TARGET,
    UNKNOWN,
    Entity,
    Failure,
    Observation,
    Reason,
    Report,
    TargetInfo,
    rank,
    worst,
)
from wabawatch.domain.incident import DESTINATION, MONITOR, Key
from wabawatch.domain.notification import Advice
from wabawatch.domain.policy import Weekly
from wabawatch.domain.routing import Rules, Window
from wabawatch.domain.sharding import shard_of
from wabawatch.domain.silence import Acknowledgement, Matcher, Silence
from wabawatch.errors import StoreError
from wabawatch.messages.notification import RenderContext

NUMBERS = ("n0", "n1", "n2", "n3", "n4", "n5")
BUSINESSES = {"n0": "b0", "n1": "b0", "n2": "b0", "n3": "b1", "n4": "b1", "n5": "b1"}
APP = "app"
KINDS = {**dict.fromkeys(NUMBERS, "PHONE_NUMBER"), "b0": "BUSINESS", "b1": "BUSINESS", APP: "APP"}
ENTITIES = tuple(KINDS)
CODES = {"PHONE_NUMBER": 141000, "BUSINESS": 141010, "APP": 141020}
DESTINATIONS = ("ops", "team", "boss")
EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CONFIGURATION = Key(MONITOR, "configuration", "working")
LONGEST_PASS = timedelta(minutes=14)
"""A pass that takes longer is ended by whoever runs it."""
WELL = (AVAILABLE, 0)


@dataclass
class SlowPass:
    """A pass that has read the first of its targets and has committed nothing yet."""

    task: PollTask
    loaded: dict
    observations: list
    began_at: timedelta


@dataclass
class NotifyContext:
    """Every method is something that may happen. `elapsed` is the time that truly went by, whatever the clock says."""

    store: object
    policy: object
    routes: tuple = ()
    windows: bool = False
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self):
        self.recorder = Recorder(self.store)
        self.elapsed = timedelta(0)
        self.fleet = set(NUMBERS)
        self.shards = 1
        self.statuses = {}
        self.unread = {}
        self.all = {name: Destination(self.wait) for name in DESTINATIONS}
        self.configured = list(DESTINATIONS)
        self.silences = []
        """Of one that was ended early, also as it was before: what it kept from people is not told later."""
        self.trouble = None
        self.slow = []
        self.fate = Fate()
        self.runs = 0
        self.meanwhile = lambda: None
        self.is_overtaken = False
        self.seen = {}
        """By key: every status that an observation had."""
        self.owed = {}
        """By (incident id, destination): whether the destination was to hear of it all the time."""
        self.reroute(self.routes)

    # --- time

    def wait(self, **length):
        self.clock.advance(**length)
        self.elapsed += timedelta(**length)

    def jump(self, minutes):
        """The clock is set. Forward it makes a pass that is under way longer than any may be."""
        self.clock.advance(minutes=minutes)
        if minutes > 0:
            self.slow.clear()

    # --- what is read

    def turn(self, name, status, variant=0):
        self.statuses[name] = (status, variant)

    def read(self, number):
        """What the API answers now. A number has the worst status of all it depends on, and its own reasons."""
        if number in self.unread:
            self._note(Key(TARGET, number, READABLE), UNKNOWN)
            return Failure(self.unread[number])
        return Report(tuple(self._entity(name, self.reported(name)) for name in self.read_by(number)))

    def read_by(self, number):
        return (number, BUSINESSES[number], APP)

    def reported(self, name):
        depends_on = self.read_by(name) if name in BUSINESSES else (name,)
        return worst([self.statuses.get(one, WELL)[0] for one in depends_on])

    def present(self, key):
        """How a key stands now, as the configured targets report it. A destination that nothing was sent to since it
        failed still counts as failing."""
        if key.entity_type == DESTINATION:
            return UNKNOWN if self.all[key.entity_id].failed_last else AVAILABLE
        if key.capability == READABLE and key.entity_type == TARGET:
            return UNKNOWN if key.entity_id in self.fleet & self.unread.keys() else AVAILABLE
        known = KINDS.get(key.entity_id) == key.entity_type and self.readers(key.entity_id)
        return self.reported(key.entity_id) if known else AVAILABLE

    def has_own_trouble(self, name):
        return rank(self.statuses.get(name, WELL)[0]) > 0

    def readers(self, name):
        """The configured targets whose answers name an entity."""
        return {number for number in self.fleet if name in self.read_by(number)}

    def _entity(self, name, status):
        own, variant = self.statuses.get(name, WELL)
        reasons = () if own == AVAILABLE else (Reason(CODES[KINDS[name]] + variant, "said by the API"),)
        self._note(Key(KINDS[name], name, MESSAGING), status)
        return Entity(KINDS[name], name, {MESSAGING: status}, reasons)

    def _note(self, key, status):
        self.seen.setdefault(key, set()).add(status)

    # --- passes

    def poll(self, shard=None, meanwhile=lambda: None):
        """A tick: what left the configuration is removed, then all shards are read, or one of them alone."""
        shards = range(self.shards) if shard is None else [shard % self.shards]

        def work(store, _):
            self.forget(store)
            for number in shards:
                self._pass(store, number, meanwhile)

        self._run(work)

    def forget(self, store):
        FleetChanges(store, self.clock, self.policy).apply_targets(self.fleet, self.shards)

    def _pass(self, store, shard, meanwhile):
        source = Readings(self.read, self.clock, meanwhile)
        Poll(store, source, self.clock, self.policy).run(self._task(shard))

    def _task(self, shard):
        self.runs += 1
        of = self.shards
        fleet = [one for one in targets(*sorted(self.fleet)) if shard_of(one.id, of) == shard]
        return PollTask(f"run{self.runs}", fleet, shard, of)

    def poll_overlapping(self, shard, seconds):
        """Another process reads and commits the same while this pass has its answers and no commit yet."""

        def other():
            self.wait(seconds=seconds)
            self._pass(self.recorder, shard % self.shards, lambda: None)

        self.poll(shard, other)

    def begin_slow_pass(self, shard, answers):
        task = self._task(shard % self.shards)
        names = [target.id for target in task.targets]
        loaded = self.store.snapshots([*names, task.readability])
        observations = [Observation(name, self.clock.now(), self.read(name)) for name in names[:answers]]
        self.slow.append(SlowPass(task, loaded, observations, self.elapsed))

    def end_slow_pass(self):
        slow = self.slow.pop(0)
        self.wait(seconds=5)
        if self.elapsed - slow.began_at > LONGEST_PASS:
            return
        rest = Readings(self.read, self.clock)
        source = OldReadings(slow.observations, rest)
        self._run(lambda store, _: Poll(StaleStore(store, slow.loaded), source, self.clock, self.policy).run(slow.task))

    # --- rounds of notify

    def notify(self, *, owner="me", complete=True):
        return self._run(lambda store, notifiers: self._round(store, notifiers, owner, complete))

    def _round(self, store, notifiers, owner, complete):
        self.recorder.calls = 0
        self.is_overtaken = False
        shown = {one.id: TargetInfo(one.id, one.name, one.labels) for one in targets(*sorted(self.fleet))}
        audience = RenderContext(shown, lambda _: Advice(), "test")
        troubles = {"configuration": self.trouble}
        if self.trouble:
            self._note(CONFIGURATION, UNKNOWN)
        try:
            return Notify(store, notifiers, self.clock, self.rules, audience).run(
                owner, troubles=troubles, complete=complete
            )
        except StoreError:
            if not self.is_overtaken:
                raise
            return None

    def notify_overtaken(self, name):
        """While a destination answers, the lease is lost and another owner does the work."""

        def other():
            self.store.release_lease("notify", "me")
            self._round(self.recorder, self.notifiers(), "other", complete=True)
            self.is_overtaken = True

        self._notify_with(name, other)

    def notify_beside(self, name):
        """Another owner comes while the first one works; the lease keeps it away."""

        def other():
            done = self._round(self.recorder, self.notifiers(), "other", complete=True)
            assert not done.worked, "two rounds of notify worked at once"

        self._notify_with(name, other)

    def _notify_with(self, name, other):
        """Do a round of notify, and something else while a destination answers. That runs in the lane's thread, where
        an error would count as the destination's."""
        errors = []

        def work():
            try:
                other()
            except Exception as error:  # noqa: BLE001 - raised again below
                errors.append(error)

        self.all[name].meanwhile = [work]
        self.notify()
        self.all[name].meanwhile = []
        if errors:
            raise errors[0]

    def notifiers(self):
        return {name: self.all[name] for name in self.configured}

    # --- processes

    def die(self, effects, *, after):
        """The process that works next is killed at an effect; so may be one after it, where it has no such many."""
        self.fate = Fate(effects, after)

    def _run(self, work):
        store = MortalStore(self.recorder, self.fate)
        notifiers = {name: MortalNotifier(one, self.fate) for name, one in self.notifiers().items()}
        with contextlib.suppress(KilledError, SystemExit):
            outcome = work(store, notifiers)
            if not self.fate.is_dead:
                return outcome
        self.fate = Fate()
        self.wait(seconds=61)
        return None

    # --- what people do

    def reroute(self, routes):
        self.routes = routes
        night = Window("night", Weekly(EVERY_DAY, time(11), time(12), "UTC"))
        windows = (night,) if self.windows else ()
        version = f"{self.runs} {self.configured} {sorted(self.fleet)} {routes}"
        self.rules = Rules(self.policy, routes, windows=windows, version=version)

    def configure(self, destinations):
        self.configured = list(destinations)
        self.reroute(self.routes)

    def watch(self, numbers):
        self.fleet = set(numbers)
        self.reroute(self.routes)

    def silence(self, entity, minutes):
        now = self.clock.now()
        match = Matcher(entity=(entity,)) if entity else Matcher()
        found = Silence(
            f"s{self.runs}-{len(self.silences)}", match, "ana", "work", now, now + timedelta(minutes=minutes)
        )
        self.silences.append(found)
        self.store.save_silence(found)

    def end_silence(self):
        last = self.silences[-1]
        ended = msgspec.structs.replace(last, ends_at=min(last.ends_at, self.clock.now()))
        self.silences.append(ended)
        self.store.save_silence(ended)

    def acknowledge(self, position):
        found = [one for one in self.store.open_incidents() if one.is_open]
        if found:
            one = found[position % len(found)]
            self.store.save_acknowledgement(Acknowledgement(one.id, "ana", self.clock.now(), one.status))

    # --- what the model makes of it

    def look(self):
        """Note who was to hear of which incident all the time."""
        for incident in self.store.incidents(1000):
            if incident.is_done:
                continue
            for name in DESTINATIONS:
                due = name in self.configured and self.is_routed(incident, name)
                self.owed[incident.id, name] = self.owed.get((incident.id, name), True) and due

    def is_routed(self, incident, name):
        """Whether a route leads from an incident to a destination, by the model's own reading of the routes."""
        if incident.entity_type == DESTINATION:
            return False
        status = incident.status if incident.is_open else incident.worst
        matched = []
        for route in self.routes:
            match = route.match
            if match.status and status not in match.status:
                continue
            if match.entity and incident.entity_id not in match.entity:
                continue
            if match.target and not self._affected(incident) & set(match.target):
                continue
            matched.append(route)
            if route.stop:
                break
        if not self.routes or (not matched and incident.entity_type == MONITOR):
            return True
        return any(name in route.to for route in matched)

    def _affected(self, incident):
        """Those affected now, or ever where it is over."""
        members = self.store.members(incident.id) if incident.has_member_rows else incident.named.items()
        return {name for name, member in members if member.is_affected or not incident.is_open}

    def is_muted(self, key, at):
        if self.windows and at.hour == 11:
            return True
        holding = [one.match for one in self.silences if one.starts_at <= at < one.ends_at]
        return any(not match.entity or key.entity_id in match.entity for match in holding)

    def is_muted_throughout(self, key, start, end):
        """Whether no unmuted instant lies between two: a gap would begin at the start or where a mute ends."""
        ends = [one.ends_at for one in self.silences]
        noon = start.replace(hour=12, minute=0, second=0, microsecond=0)
        ends += [noon + timedelta(days=days) for days in range((end - start).days + 2)]
        return all(self.is_muted(key, at) for at in [start, *(at for at in ends if start <= at <= end)])
