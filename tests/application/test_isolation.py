"""One bad item stops no other: it is set aside, counted and reported, and everything else goes on."""

import pytest

from tests.application.fakes import PAYMENT, FakeNotifier, failing, phone, targets
from wabawatch.application import correlate
from wabawatch.application.poll import Poll, PollTask
from wabawatch.domain.sharding import shard_of
from wabawatch.errors import DeliveryError, DeliveryErrorKind

REFUSED = DeliveryError("HTTP 400", DeliveryErrorKind.MESSAGE)


def about(notifications):
    return [(one.kind, one.subject.entity_type, one.subject.entity_id) for one in notifications]


class Picky(FakeNotifier):
    """Refuses whatever is about one number, a digest too."""

    def deliver(self, notification, thread):
        if any(subject.entity_id == "n5" for subject in notification.subjects):
            self.tried.append(notification)
            raise REFUSED
        return super().deliver(notification, thread)


@pytest.fixture
def picky(stage):
    stage.fleet = targets(*(f"n{number}" for number in range(9)))
    stage.destinations = {"ops": Picky(), "team": FakeNotifier()}
    stage.cycle()
    stage.says(phone("BLOCKED", PAYMENT))
    return stage


def test_a_refused_digest_is_halved_until_all_is_told_that_can_be(picky):
    picky.cycle()
    notified = {subject.entity_id for one in picky.ops.taken for subject in one.subjects}
    assert notified == {f"n{number}" for number in range(9) if number != 5}
    assert picky.destinations["team"].said == ["digest 9"]


def test_a_message_that_is_refused_again_and_again_is_reported_once_and_the_destination_is_well(picky):
    picky.cycle(120)
    reported = [one for one in about(picky.destinations["team"].taken) if one[1] == "DESTINATION"]
    assert reported == [("opened", "DESTINATION", "ops")]
    (incident,) = [one for one in picky.incidents() if one.entity_type == "DESTINATION"]
    assert (incident.capability, incident.is_open) == ("messages", True)


def test_what_can_not_be_folded_is_set_aside_and_reported_and_the_rest_is_told(stage, monkeypatch):
    fold = correlate.fold

    def fold_with_a_bug(latest, before, transition, policy, generation):
        if transition.target == "n1":
            raise ZeroDivisionError
        return fold(latest, before, transition, policy, generation)

    stage.fleet = targets("n1", "n2")
    stage.cycle()
    stage.says(phone("BLOCKED", PAYMENT))
    monkeypatch.setattr(correlate, "fold", fold_with_a_bug)
    stage.cycle(2)
    assert sorted(about(stage.ops.taken)) == [
        ("opened", "MONITOR", "storage"),
        ("opened", "PHONE_NUMBER", "n2"),
    ]
    (row,) = stage.store.set_aside(stage.clock.now().replace(year=2000))
    assert ("n1" in row.name, "ZeroDivisionError" in row.error) == (True, True)
    assert stage.store.pending(10) == []


def test_a_shard_that_can_not_be_read_hides_only_its_own_numbers(stage):
    names = [f"n{number:02}" for number in range(24)]
    shards = {shard: [name for name in names if shard_of(name, 2) == shard] for shard in (0, 1)}
    stage.fleet = targets(*names)
    for number in range(6):
        stage.clock.advance(minutes=5)
        for shard, own in shards.items():
            unread = own if shard == 0 else own[:1]
            for name in own:
                stage.source.readings[name] = failing("timeout") if number and name in unread else phone()
            fleet = [target for target in stage.fleet if target.id in own]
            Poll(stage.store, stage.source, stage.clock, stage.policy)(PollTask(f"run{number}", fleet, shard, 2))
        stage.notify(complete=True)
    assert sorted(about(stage.ops.taken)) == [
        ("opened", "MONITOR", "readability"),
        ("opened", "TARGET", shards[1][0]),
    ]
