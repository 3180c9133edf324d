"""What must be so once a history has become calm, each in a function of its own."""

from collections import Counter

from tests.model.world import CONFIGURATION, ENTITIES, KINDS, NUMBERS
from wabawatch.domain.health import AVAILABLE, MESSAGING, READABLE, TARGET, identify_reasons, rank
from wabawatch.domain.incident import DESTINATION, MONITOR, Key

NEWS = frozenset({"reminder", "digest"})


def check_all(world):
    open_incidents_are_the_causes_that_last(world)
    affected_targets_are_counted_rightly(world)
    everybody_hears_of_lasting_problems(world)
    nobody_believes_in_a_problem_that_is_over(world)
    nothing_that_happened_was_kept_from_anybody(world)
    nothing_false_was_said(world)
    a_repeat_has_its_id(world)
    messages_are_bounded(world)
    transitions_have_no_gaps_and_were_folded_once(world)
    removed_targets_stay_away(world)


def lasting_problems(world):
    """By key, the present status of every cause that is bad: of entities with a trouble of their own that a configured
    target reports, and of targets that can't be read."""
    causes = [key_of(name) for name in ENTITIES if world.has_own_trouble(name)]
    causes += [Key(TARGET, name, READABLE) for name in NUMBERS]
    return {key: status for key in causes if rank(status := world.present(key)) > 0}


def key_of(name):
    return Key(KINDS[name], name, MESSAGING)


def by_key(subject):
    return Key(subject.entity_type, subject.entity_id, subject.capability)


def word_of(subject):
    return AVAILABLE if subject.resolved_at else subject.new


def last_words(destination, of):
    """The status that a destination was last told of, by incident or by key."""
    return {of(subject): word_of(subject) for _, subject in destination.words}


def last_words_by_key(world, destination):
    """Within one digest the latest incident of a key counts."""
    generations = {one.id: one.generation for one in world.store.incidents(10_000)}
    said = [
        subject
        for notification in destination.taken
        for subject in sorted(notification.subjects, key=lambda one: generations[one.incident_id])
    ]
    return {by_key(subject): word_of(subject) for subject in said}


def everybody_hears_of_lasting_problems(world):
    """Everyone routed has learned of every problem that lasts: its last word about it is its present status. Who
    refuses messages about a problem need not have learned of that one."""
    problems = lasting_problems(world)
    latest = world.store.latest_incidents(list(problems))
    for name, destination in world.all.items():
        if destination.mode == "is dead":
            continue
        heard = last_words_by_key(world, destination)
        for key, status in problems.items():
            if destination.mode == "refuses some" and key.entity_id in destination.refused:
                continue
            incident = latest.get(key)
            assert incident is not None, (key, "is no incident")
            if world.is_routed(incident, name):
                assert heard.get(key) == status, (name, key, f"is {status}, and {heard.get(key)} was told")


def somebody_hears_of_dead_destinations(world):
    """Where a destination has said that it takes nothing, another one knows."""
    dead = {name for name, one in world.all.items() if one.has_said_that_it_is_dead and name in world.configured}
    others = [one for name, one in world.all.items() if one.mode != "is dead"]
    for name in dead:
        key = Key(DESTINATION, name, "delivery")
        assert not others or any(last_words_by_key(world, one).get(key) == "UNKNOWN" for one in others), (
            name,
            "died unheard",
        )


def nobody_believes_in_a_problem_that_is_over(world):
    """Nobody's last word about an incident is a problem that is over, or one with another status."""
    for name, destination in world.all.items():
        for (key, incident_id), status in last_words(destination, lambda one: (by_key(one), one.incident_id)).items():
            if status == AVAILABLE:
                continue
            present = world.present(key)
            assert status == present, (name, incident_id, key, f"is {present}, and {status} was told last")


def nothing_that_happened_was_kept_from_anybody(world):
    """Who was on the route all the time has heard of what is over, unless mutes covered all of it."""
    for incident in world.store.incidents(1000):
        if incident.is_open:
            continue
        for name, destination in world.all.items():
            if not world.owed.get((incident.id, name)) or incident.id in {
                one.incident_id for _, one in destination.words
            }:
                continue
            muted = world.is_muted_throughout(incident.key, incident.confirmed_at, incident.resolved_at)
            assert muted, (name, incident.key, incident.confirmed_at, incident.resolved_at, "was not told")


def nothing_false_was_said(world):
    """No status that no observation had, and no end of what nobody was told of."""
    for name, destination in world.all.items():
        notified = set()
        for notification, subject in destination.words:
            key = by_key(subject)
            assert _was_seen(world, key, subject.new), (name, key, subject.new)
            assert notification.kind != "brief" or rank(subject.new) > 0, (name, key, notification.kind)
            assert notification.kind != "resolved" or subject.incident_id in notified, (
                name,
                key,
                "ended and never began",
            )
            if subject.resolved_at is None:
                notified.add(subject.incident_id)


def _was_seen(world, key, status):
    if key.entity_type == DESTINATION:
        return world.all[key.entity_id].failures > 0
    if key.entity_type == MONITOR and key != CONFIGURATION:
        return any(one.capability == READABLE for one in world.seen)
    seen = world.seen.get(key, set())
    return status in seen or (status == AVAILABLE and any(rank(one) > 0 for one in seen))


def a_repeat_has_its_id(world):
    """What is said twice has the same id, and one id has one content."""
    for name, destination in world.all.items():
        contents, ids = {}, {}
        for notification in destination.taken:
            content = _content(notification)
            assert contents.setdefault(notification.id, content) == content, (name, "an id has two contents")
            if notification.kind == "digest" and any(one.old == one.new for one in notification.subjects):
                continue  # reminders in a digest say the same each time
            assert ids.setdefault(content, notification.id) == notification.id, (name, content, "two ids for the same")


def _content(notification):
    return (
        notification.kind,
        notification.sequence,
        tuple(
            (
                one.incident_id,
                one.old,
                one.new,
                one.changed_at,
                one.resolved_at,
                one.affected_before,
                one.affected_total,
                tuple(sorted(identify_reasons(tuple(shown.reason for shown in one.reasons)))),
            )
            for one in notification.subjects
        ),
    )


def messages_are_bounded(world):
    """For each cause no more news than there were changes, twice over for what flaps and for rules that change."""
    changes = Counter(one.key for one in world.store.history(limit=100_000))
    for name, destination in world.all.items():
        news = {}
        for notification, subject in destination.words:
            if notification.kind not in NEWS:
                news.setdefault(by_key(subject), set()).add(notification.id)
        for key, ids in news.items():
            assert key not in changes or len(ids) <= 2 * changes[key] + 2, (name, key, len(ids), changes[key])


def open_incidents_are_the_causes_that_last(world):
    """Every cause has its open incident; what is open besides is reported as bad, though another cause explains it by
    now."""
    found = {one.key: one for one in world.store.open_incidents() if one.is_open}
    problems = lasting_problems(world)
    assert problems.keys() <= found.keys(), sorted(problems.keys() - found.keys())
    for key, incident in found.items():
        assert incident.status == world.present(key), (key, incident.status, world.present(key))


def affected_targets_are_counted_rightly(world):
    for incident in world.store.open_incidents():
        if not incident.is_open:
            continue
        readers = (
            {incident.entity_id} if incident.entity_type in {TARGET, DESTINATION} else world.readers(incident.entity_id)
        )
        assert incident.affected == len(readers), (incident.key, incident.counts, readers)
        members = dict(world.store.members(incident.id) if incident.has_member_rows else incident.named)
        assert {name for name, one in members.items() if one.is_affected} == readers, (incident.key, members)
        assert len(members) == incident.total_affected, (incident.key, members, incident.total_affected)


def transitions_have_no_gaps_and_were_folded_once(world):
    numbers = {}
    for one in world.store.history(limit=100_000):
        numbers.setdefault(one.target, []).append(one.seq)
    for target, seqs in numbers.items():
        assert sorted(seqs) == list(range(1, len(seqs) + 1)), (target, sorted(seqs))
        last = 0
        for first, following in world.recorder.folded.get(target, []):
            assert first <= last + 1 <= following, (target, first, last, following, "left out, or folded twice")
            last = following
        assert last == len(seqs), (target, last, len(seqs))


def removed_targets_stay_away(world):
    held = {one.target for one in world.store.every_snapshot() if one.states and one.target in NUMBERS}
    assert held <= world.fleet, sorted(held - world.fleet)


def nothing_stays_open(world):
    found = [one.key for one in world.store.open_incidents() if one.is_open]
    found = [key for key in found if world.present(key) == AVAILABLE]
    assert not found, found
