import msgspec
import pytest

from tests.unit.domain.builders import PAYMENT, VERIFICATION, minute, moved
from tests.unit.domain.incidents import folded, involved
from wabawatch.domain.health import TargetInfo
from wabawatch.domain.incident import NotificationState
from wabawatch.domain.notification import Advice, record_sent
from wabawatch.messages.notification import (
    PendingNotification,
    RenderContext,
    build_notification,
    notification_id,
    summarize_incident,
)

FLEET = {f"n{n}": TargetInfo(f"n{n}", f"Number {n}", {"team": "x"}) for n in range(100)}
AUDIENCE = RenderContext(FLEET, lambda reason: Advice(who=f"who fixes {reason.code}"), "prod")


def news(incident, kind="opened", notified=NotificationState(), severity="critical"):  # noqa: B008 - an immutable value
    return PendingNotification(incident, involved(incident), notified, kind, severity)


BLOCKED = folded(*(moved(f"n{n}", 1, "A", "B", reasons=(PAYMENT,)) for n in range(40)))
FOUND = folded(moved("n1", 1, None, "B"))
OVER = folded(moved("n1", 1, "A", "B", reasons=(PAYMENT,)), moved("n1", 2, "B", "A", 30))
HEARD = record_sent(BLOCKED, NotificationState(), "opened", minute(1), {})


def test_a_subject_names_twenty_and_counts_all():
    everybody = msgspec.structs.replace(news(BLOCKED), targets=tuple(FLEET)[:40])
    notified = summarize_incident(everybody, AUDIENCE)
    assert ([one.name for one in notified.affected], notified.affected_total, notified.share) == (
        [f"Number {n}" for n in range(20)],
        40,
        0.4,
    )
    assert (notified.reasons[0].reason, notified.reasons[0].advice.who) == (PAYMENT, "who fixes 141006")
    assert notified.affected_before is None


@pytest.mark.parametrize(
    ("said", "old", "new"),
    [
        pytest.param(news(BLOCKED), "AVAILABLE", "BLOCKED", id="a problem"),
        pytest.param(news(FOUND), None, "BLOCKED", id="a problem that was found so"),
        pytest.param(news(OVER, "resolved", HEARD), "BLOCKED", "AVAILABLE", id="a recovery"),
        pytest.param(news(OVER, "brief"), "AVAILABLE", "BLOCKED", id="what came and went"),
    ],
)
def test_a_subject_goes_from_what_was_told_to_what_is(said, old, new):
    notified = summarize_incident(said, AUDIENCE)
    assert (notified.old, notified.new) == (old, new)


def test_a_subject_says_what_is_new_and_what_is_gone():
    changed = folded(moved("n1", 2, "B", "B", 9, reasons=(VERIFICATION,)), latest=BLOCKED)
    notified = summarize_incident(news(changed, "reasons_changed", HEARD), AUDIENCE)
    assert ([one.reason.code for one in notified.reasons], [one.code for one in notified.reasons_gone]) == (
        [141010],
        [141006],
    )


def test_a_subject_says_how_many_have_recovered_and_how_many_were_told():
    fewer = folded(moved("n1", 2, "B", "A", 9), latest=BLOCKED)
    notified = summarize_incident(news(fewer, "receded", HEARD), AUDIENCE)
    assert (notified.affected_before, notified.affected_total, notified.recovered_total) == (40, 39, 1)


def test_the_story_holds_only_points_at_which_the_status_changed():
    assert [status for _, status in summarize_incident(news(BLOCKED), AUDIENCE).history] == ["BLOCKED"]
    assert [status for _, status in summarize_incident(news(OVER), AUDIENCE).history] == ["BLOCKED", "AVAILABLE"]


def test_a_trouble_of_the_monitor_affects_no_number():
    mass_failure = folded(moved("~shard-0", 1, "A", "UNKNOWN", entity_type="MONITOR"))
    notified = summarize_incident(msgspec.structs.replace(news(mass_failure), targets=()), AUDIENCE)
    assert (notified.affected, notified.affected_total, notified.share) == ((), 0, 0.0)


def test_the_same_news_has_the_same_id_and_other_news_another():
    same = notification_id("ops", "opened", [news(BLOCKED)])
    assert same == notification_id(
        "ops", "opened", [news(msgspec.structs.replace(BLOCKED, version=9, due_at=minute(5)))]
    )
    others = [
        notification_id("other", "opened", [news(BLOCKED)]),
        notification_id("ops", "resolved", [news(BLOCKED)]),
        notification_id("ops", "opened", [news(BLOCKED, notified=HEARD)]),
        notification_id("ops", "opened", [news(folded(moved("x", 1, "A", "B"), latest=BLOCKED))]),
        notification_id("ops", "opened", [news(FOUND)]),
    ]
    assert len({same, *others}) == 6


def test_a_digest_has_the_same_id_in_whatever_order_it_is_made():
    assert notification_id("ops", "digest", [news(BLOCKED), news(FOUND)]) == notification_id(
        "ops", "digest", [news(FOUND), news(BLOCKED)]
    )


def test_a_digest_holds_recoveries_too():
    digest = build_notification("ops", [news(FOUND), news(OVER, "resolved", HEARD)], minute(40), AUDIENCE)
    assert (digest.total, [(one.old, one.new) for one in digest.subjects]) == (
        2,
        [(None, "BLOCKED"), ("BLOCKED", "AVAILABLE")],
    )


def test_an_incident_that_is_told_twice_is_numbered():
    assert build_notification("ops", [news(BLOCKED)], minute(1), AUDIENCE).sequence == 1
    assert build_notification("ops", [news(OVER, "resolved", HEARD)], minute(40), AUDIENCE).sequence == 2


def test_a_digest_begins_with_the_worst_and_counts_those_it_leaves_out():
    small = [news(folded(moved(f"n{n}", 1, "A", "L", entity_id=f"e{n}")), severity="warning") for n in range(60)]
    digest = build_notification("ops", [*small, news(FOUND), news(BLOCKED)], minute(1), AUDIENCE)
    assert (digest.kind, digest.total, len(digest.subjects), digest.deployment) == ("digest", 62, 50, "prod")
    assert [one.affected_total for one in digest.subjects[:3]] == [40, 1, 1]
    assert [one.severity for one in digest.subjects[:3]] == ["critical", "critical", "warning"]
