"""Messages: what they say of time, of what was there before, and where they were cut."""

from datetime import timedelta

import msgspec
import pytest

from tests.contract.notifiers.notifications import NOW, OPENED, notification, subject
from wabawatch.domain.health import Reason, TargetInfo
from wabawatch.domain.notification import Advice, ReasonShown
from wabawatch.messages.message import map_texts, render_message, render_title
from wabawatch.messages.notification import TextLimits


def fields(shown, kind="opened", limits=TextLimits()):  # noqa: B008 - an immutable value
    (section,) = render_message(notification(kind, shown), limits).sections
    return {field.label: field.text for field in section.fields}


def test_a_duration_of_less_than_a_second_is_left_out():
    just_now = subject(opened_at=NOW, preexisting=True, old=None)
    assert fields(just_now)["Since"] == "before 2026-03-01 03:05 UTC"
    assert fields(subject(opened_at=NOW, resolved_at=NOW))["Lasted"] == (
        "from 2026-03-01 03:05 UTC to 2026-03-01 03:05 UTC"
    )
    titles = [render_title(notification(kind, just_now)) for kind in ("brief", "reminder", "resolved")]
    assert not [title for title in titles if "0 s" in title or "()" in title]


@pytest.mark.parametrize(
    ("old", "new", "resolved_at", "said"),
    [
        pytest.param(None, "LIMITED", None, "already LIMITED when monitoring started", id="found"),
        pytest.param(None, "AVAILABLE", NOW, "AVAILABLE", id="found-and-over"),
        pytest.param("LIMITED", "LIMITED", None, "LIMITED, as before", id="as-before"),
        pytest.param("LIMITED", "BLOCKED", None, "LIMITED → BLOCKED", id="a-change"),
    ],
)
def test_the_status_says_what_changed(old, new, resolved_at, said):
    assert fields(subject(old=old, new=new, resolved_at=resolved_at))["Status"] == said


def test_labels_are_those_that_all_affected_numbers_have_though_few_are_named():
    affected = tuple(TargetInfo(f"n{n}", "", {"client": "acme", "team": f"t{n > 2}"}) for n in range(5))
    shown = fields(subject(affected=affected, affected_total=5), limits=TextLimits(names=2))
    assert shown["Labels"] == "client: acme"
    assert shown["Affected"].endswith("n0, n1 +3 more")


def test_an_instant_is_written_as_the_reader_needs_it_and_only_where_it_is_ours():
    shown = subject(opened_at=OPENED, reasons=(ReasonShown(Reason(None, "since 2026-03-01 01:00 UTC")),))
    (section,) = render_message(notification("opened", shown)).sections
    (since,) = [field for field in section.fields if field.label == "Since"]
    assert since.format(lambda at: f"<{at:%H}>") == "<01>, for 2 h 5 min"
    assert section.reasons[0].text == "since 2026-03-01 01:00 UTC"


def test_a_text_that_is_not_shown_does_not_count_as_cut():
    long = ReasonShown(Reason(1, "short", "x" * 9_000), Advice("who", "y" * 9_000))
    over = subject(reasons=(long,), resolved_at=NOW)
    assert render_message(notification("resolved", over)).truncation_note == ""
    assert (
        "long texts are shortened" in render_message(notification("opened", subject(reasons=(long,)))).truncation_note
    )


def test_what_is_not_shown_is_counted():
    many = notification("digest", *[subject()] * 5, total=9)
    message = render_message(many, TextLimits(sections=2))
    assert (len(message.sections), message.hidden_incidents) == (2, 7)
    assert message.truncation_note.startswith("This message was cut: 7 more incidents not shown.")
    worst_is_hidden = notification("digest", *[subject(resolved_at=NOW)] * 3, subject(affected_total=7))
    assert render_title(worst_is_hidden, TextLimits(sections=1)).endswith("the worst: 7 numbers cannot send messages")


def test_everything_from_outside_is_escaped():
    mine = "outside"
    reason = ReasonShown(Reason(None, mine, mine, detail=mine), Advice(mine, mine, f"https://example.com/{mine}"))
    shown = subject(incident_id=mine, entity_type=mine, entity_id=mine, capability=f"can_{mine}", old=mine, new=mine,
        reasons=(reason,), reasons_gone=(Reason(None, mine),), acknowledged_by=mine, history=((OPENED, mine),),
        affected=(TargetInfo(mine, mine, {mine: mine}),))  # fmt: skip
    sent = msgspec.structs.replace(notification("flapping", shown), id=mine, deployment=mine, destination=mine)
    message = map_texts(render_message(sent), lambda text: text.replace(mine, "escaped"))
    assert mine not in str(msgspec.to_builtins(message))


def test_a_link_that_is_too_long_is_left_out():
    links = [f"https://example.com/{'x' * length}" for length in (10, 400)] + ["javascript:alert(1)"]
    shown = subject(reasons=tuple(ReasonShown(Reason(1, "text"), Advice("who", "do", link)) for link in links))
    (section,) = render_message(notification("opened", shown)).sections
    assert [bool(reason.link) for reason in section.reasons] == [True, False, False]


def test_a_duration_grows_with_the_time_of_the_notification():
    later = msgspec.structs.replace(notification("reminder"), at=NOW + timedelta(days=1))
    assert render_title(later).startswith("Reminder (1 d 2 h): ")
