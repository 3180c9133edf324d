from datetime import timedelta

import msgspec

from tests.application.fakes import PAYMENT, FakeNotifier, business, failing, phone, targets
from tests.crash.killable_store import Fate, MortalStore
from wabawatch.application import correlate
from wabawatch.domain.health import MESSAGING, READABLE, Entity, Reason, Report


def test_a_block_and_its_recovery_are_one_message_each(stage):
    stage.cycle(3)
    stage.says(phone("BLOCKED", PAYMENT))
    stage.cycle(3)
    stage.says(phone())
    stage.cycle(5)
    assert stage.ops.said == ["opened AVAILABLE>BLOCKED", "resolved BLOCKED>AVAILABLE"]
    opened, resolved = (one.subject for one in stage.ops.taken)
    assert (opened.reasons[0].reason, [one.name for one in opened.affected]) == (PAYMENT, ["Number n1"])
    assert resolved.resolved_at - resolved.opened_at == stage.ops.taken[1].at - stage.ops.taken[0].at


def test_forty_numbers_of_one_blocked_business_are_one_message_that_says_forty(stage):
    stage.fleet = targets(*(f"n{number:02}" for number in range(40)))
    stage.says(business("BLOCKED", PAYMENT))
    stage.cycle(3)
    assert stage.ops.said == ["opened None>BLOCKED"]
    assert (stage.ops.taken[0].subject.affected_total, stage.ops.taken[0].subject.entity_type) == (40, "BUSINESS")


def test_a_removed_target_closes_what_it_held_as_unwatched(stage):
    stage.fleet = targets("n1", "n2")
    stage.says(phone("BLOCKED"), phone())
    stage.cycle()
    stage.fleet = targets("n2")
    stage.says(phone())
    stage.forget()
    stage.cycle()
    assert stage.ops.said == ["opened None>BLOCKED", "resolved BLOCKED>AVAILABLE"]
    assert stage.ops.taken[1].subject.resolution == "unwatched"


def test_blindness_is_one_incident_and_states_freeze(stage):
    stage.fleet = targets(*"abcde")
    stage.says(phone("BLOCKED"), phone(), phone(), phone(), phone())
    stage.cycle()
    stage.says(*[failing("timeout")] * 4, phone())
    stage.cycle(5)
    assert stage.ops.said == ["opened None>BLOCKED", "opened AVAILABLE>UNKNOWN"]
    assert stage.ops.taken[1].subject.entity_type == "MONITOR"
    assert stage.ops.taken[1].subject.reasons[0].reason.detail == "4 of 5 targets could not be read: timeout (4)"
    assert all(state.capability != READABLE for state in stage.store.snapshots(["b"])["b"].states)
    stage.says(phone("BLOCKED"), phone(), phone(), phone(), phone())
    stage.cycle(2)
    assert stage.ops.said[2:] == ["resolved UNKNOWN>AVAILABLE"]


def test_a_number_that_could_not_be_read_before_the_blindness_is_told_after_it(local):
    local.fleet = targets(*"abcde")
    local.rules = msgspec.structs.replace(
        local.rules, policy=msgspec.structs.replace(local.policy, group_wait=local.policy.group_interval)
    )
    local.says(failing("timeout"), phone(), phone(), phone(), phone())
    for _ in range(3):
        local.clock.advance(minutes=1)
        local.poll()
        local.notify()
    local.says(failing("timeout"))
    local.cycle(4)
    assert [one.subject.entity_type for one in local.ops.taken] == ["MONITOR"]
    local.says(failing("timeout"), phone(), phone(), phone(), phone())
    local.cycle(2)
    assert [one.subject.entity_type for one in local.ops.taken] == ["MONITOR", "MONITOR", "TARGET"]


def test_a_provider_that_says_the_channel_is_down_is_believed_at_once_and_is_no_blindness(stage):
    stage.fleet = targets(*"abcde")
    stage.says(failing("payment_required"))
    stage.cycle()
    assert sorted(one.subject.entity_id for one in stage.ops.taken) == ["a", "b", "c", "d", "e"]


def test_a_number_that_timed_out_and_is_now_disabled_is_told_again(stage):
    stage.says(failing("timeout"))
    stage.cycle(4)
    stage.says(failing("disabled"))
    stage.cycle(2)
    assert stage.ops.said == ["opened AVAILABLE>UNKNOWN", "reasons_changed UNKNOWN>UNKNOWN"]


def test_ten_thousand_unhealthy_numbers_on_the_first_run_are_one_message_for_each_destination(local):
    local.fleet = targets(*(f"n{number}" for number in range(10_000)))
    local.destinations["other"] = FakeNotifier()
    local.says(phone("LIMITED"))
    notified = local.cycle()
    assert local.ops.said == local.destinations["other"].said == ["digest 10000"]
    assert (notified.open, len(local.ops.taken[0].subjects)) == (10_000, 50)
    local.cycle(2)
    assert len(local.ops.taken) == 1


def test_a_digest_belongs_to_no_thread_and_begins_none(local):
    local.fleet = targets(*"abcdefg")
    local.says(phone("BLOCKED"))
    local.cycle()
    assert {line.thread.get("ts") for one in local.incidents() for line in one.notification_log.values()} == {None}


def test_a_configuration_that_cannot_be_read_is_told_and_ends(stage):
    trouble = msgspec.structs.replace(PAYMENT, code=None, description="configuration", detail="line 3: no such field")
    stage.notify(troubles={"configuration": trouble}, complete=True)
    stage.notify(troubles={"configuration": trouble}, complete=True)
    stage.notify(troubles={"configuration": None}, complete=True)
    assert stage.ops.said == ["opened AVAILABLE>UNKNOWN", "resolved UNKNOWN>AVAILABLE"]


def test_without_a_whole_pass_the_first_message_waits_for_company(stage):
    stage.says(phone("BLOCKED"))
    stage.poll()
    stage.notify()
    assert stage.ops.said == []
    stage.clock.advance(seconds=10)
    stage.notify()
    assert stage.ops.said == ["opened None>BLOCKED"]


def test_notify_stops_sending_before_its_deadline_and_goes_on_in_the_next_round(local):
    local.says(phone("BLOCKED"))
    local.poll()
    local.notify(complete=True, until=local.clock.now())
    assert local.ops.said == []
    local.notify(complete=True)
    assert local.ops.said == ["opened None>BLOCKED"]


def test_while_a_large_outage_is_folded_people_are_told_of_what_is_folded_so_far(local, monkeypatch):
    monkeypatch.setattr(correlate, "_READ_AT_ONCE", 2)
    local.fleet = targets(*"abcdefgh")
    local.says(phone("BLOCKED"))
    local.poll()
    sent_at_fold = []

    class SlowStore:
        def __getattr__(self, name):
            return getattr(local.store, name)

        def fold(self, batch):
            sent_at_fold.append(len(local.ops.taken))
            local.clock.advance(seconds=10)
            return local.store.fold(batch)

    local.notify(store=SlowStore(), complete=True, until=local.clock.now() + timedelta(minutes=5))
    assert (sent_at_fold[0], len(sent_at_fold)) == (0, 4)
    assert sent_at_fold[-1] > 0
    assert local.store.pending(10) == []


def test_nothing_changed_means_nothing_written(local):
    local.says(phone("BLOCKED"))
    local.cycle(2)
    fate = Fate()
    local.store = MortalStore(local.store, fate)
    local.cycle(5)
    assert set(fate.names) == {"save_run", "save_coverage", "acquire_lease", "release_lease"}


def test_a_change_that_is_cut_between_two_writes_is_folded_whole_in_one_round(stage):
    stage.store.fold_limit = 5  # one incident, and the change that made it

    def report(target):
        business_reason = Reason(141010, "The business is not verified.")
        number = Entity("PHONE_NUMBER", target, {MESSAGING: "BLOCKED"}, (PAYMENT,))
        return Report((number, Entity("BUSINESS", "b", {MESSAGING: "BLOCKED"}, (business_reason,))))

    stage.says(report)
    stage.cycle()
    assert stage.store.pending(10) == []
    assert {one.entity_type for one in stage.incidents()} == {"PHONE_NUMBER", "BUSINESS"}
