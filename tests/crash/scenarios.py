"""Stories for processes that are killed. Each is a list of steps; a step that is killed is done again by the next
process, from what is stored."""

from datetime import timedelta

from tests.application.fakes import PAYMENT, FakeNotifier, business, failing, phone, targets
from wabawatch.domain.health import Reason
from wabawatch.domain.silence import Matcher, Silence
from wabawatch.errors import DeliveryError, DeliveryErrorKind

POLL, NOTIFY = "poll", "notify"
DOWN = DeliveryError("HTTP 503", DeliveryErrorKind.PASSING)
VERIFICATION = Reason(141010, "The business is not verified.", "Verify it.")


def said(*readings):
    return lambda stage: stage.says(*readings)


def passes(times=1):
    return [POLL, NOTIFY] * times


def number_opens():
    return [*passes(), said(phone("BLOCKED", PAYMENT)), *passes(2)]


def cause_is_shared():
    return [
        said(business()),
        *passes(),
        said(business("BLOCKED", VERIFICATION)),
        *passes(2),
        said(business()),
        *passes(3),
    ]


def incident_escalates():
    return [
        *passes(), said(phone("LIMITED", VERIFICATION)), *passes(2), said(phone("BLOCKED", PAYMENT)), *passes(2),
        said(phone()), *passes(3),
    ]  # fmt: skip


def part_recovers():
    bad, well = business("BLOCKED", VERIFICATION), business()
    return [*passes(), said(bad), *passes(2), said(bad, well, well, well), *passes(10), said(well), *passes(3)]


def most_cannot_be_read():
    return [*passes(), said(failing("timeout")), *passes(4), said(phone()), *passes(3)]


def silence_lies_over_the_recovery():
    def silence(stage):
        now = stage.clock.now()
        stage.store.save_silence(Silence("s", Matcher(), "ana", "", now, now + timedelta(minutes=12)))

    def later(stage):
        stage.clock.advance(minutes=20)

    return [
        *passes(), said(phone("BLOCKED", PAYMENT)), *passes(2), silence, said(phone()), *passes(3), later, *passes(2),
    ]  # fmt: skip


def destination_fails():
    def breaks(stage):
        stage.fakes["ops"].always = DOWN

    def heals(stage):
        stage.fakes["ops"].always = None
        stage.clock.advance(minutes=20)

    return [
        *passes(),
        breaks,
        said(phone("BLOCKED", PAYMENT)),
        *passes(3),
        heals,
        *passes(3),
        said(phone()),
        *passes(3),
    ]


def configuration_changes():
    def changes(stage):
        stage.fakes["late"] = FakeNotifier()
        stage.fleet = targets("n1", "n2")
        stage.ruled()

    return [
        *passes(),
        said(phone("BLOCKED", PAYMENT)),
        *passes(2),
        changes,
        "forget",
        *passes(2),
        said(phone()),
        *passes(3),
    ]


def storm_becomes_a_digest():
    return [*passes(), said(phone("BLOCKED", PAYMENT)), *passes(2), said(phone()), *passes(3)]


STORIES = {
    "a number opens": (number_opens, 1),
    "a cause is shared": (cause_is_shared, 4),
    "an incident escalates": (incident_escalates, 1),
    "a part recovers": (part_recovers, 4),
    "most of the fleet cannot be read": (most_cannot_be_read, 4),
    "a silence lies over the recovery": (silence_lies_over_the_recovery, 1),
    "a destination fails": (destination_fails, 2),
    "the configuration changes": (configuration_changes, 3),
    "a storm becomes a digest": (storm_becomes_a_digest, 8),
    "a cause grows beyond what an incident holds itself": (cause_is_shared, 24),
}
"""By name: its steps, and how many numbers it is about."""
