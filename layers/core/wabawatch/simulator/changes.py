"""A change to the fleet, parsed from a step of the scenario or from a control request.

Fields: `status` (short for can_send_message), any `can_…`, `reasons`, `info`, `seen_by`, `failure`, `quirks`, `heal`.
"""

import difflib
from collections.abc import Mapping

import msgspec

from .failures import FAILURES, Failure
from .fleet import TYPES, Fleet
from .quirks import QUIRKS
from .reading import Section, count, duration, flag, header, items, nearest, one_of, text, texts
from .reasons import CALLING, CATALOGUE, MESSAGING, STATUSES, Health, Reason

EVERYTHING = "*"
FIELDS = ("status", "reasons", "info", "seen_by", "failure", "quirks", "heal")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change to entities of one kind. Fields that are None change nothing.

    `seen_by`: only these numbers' responses show the change, as while the provider's caches differ; empty for all.
    `failure` and `quirks` apply to numbers; an empty failure kind ends the failure.
    """

    kind: str
    names: tuple[str, ...]
    capabilities: Mapping[str, str] = {}
    reasons: tuple[Reason, ...] | None = None
    additional_info: tuple[str, ...] | None = None
    seen_by: tuple[str, ...] = ()
    failure: Failure | None = None
    quirks: tuple[str, ...] | None = None
    heal: bool = False

    @property
    def touches_health(self) -> bool:
        return bool(self.capabilities) or self.reasons is not None or self.additional_info is not None

    def applied_to(self, health: Health) -> Health:
        """Return the health after the change. A new status also replaces the reasons of its capability."""
        kept = self._other_reasons(health) if self.capabilities else ()
        before = Health(health.capabilities, kept) if self.capabilities else health
        return Health(
            {**before.capabilities, **self.capabilities},
            before.reasons if self.reasons is None else (*self.reasons, *kept),
            before.additional_info if self.additional_info is None else self.additional_info,
        )

    def _other_reasons(self, health: Health) -> tuple[Reason, ...]:
        """Messaging and calling share one list: a change of one keeps the reasons of the other."""
        return tuple(
            reason
            for reason in health.reasons
            if (CALLING if reason.is_about_calling else MESSAGING) not in self.capabilities
        )


def read_subject(section: Section, fleet: Fleet) -> tuple[str, tuple[str, ...]]:
    """(kind, names) from the one field that says what changes, such as `waba: acme-eu` or `number: [a, b]`."""
    kinds = [kind for kind in TYPES if kind in section]
    if len(kinds) != 1:
        raise section.refuse("", f"say once what changes, by one of {', '.join(TYPES)}")
    names = section.need(kinds[0], texts)
    for name in names:
        refuse_unknown(section, kinds[0], name, fleet.names(kinds[0]) | {EVERYTHING})
    return kinds[0], names


def refuse_unknown(section: Section, field: str, name: str, known: set[str]) -> None:
    if name not in known:
        raise section.refuse(field, f"there is no {name!r} in the fleet{nearest(name, known)}")


def read_change(section: Section, kind: str, names: tuple[str, ...], fleet: Fleet) -> Change:
    """The change that the section's fields describe; raises ScenarioError for the first that is wrong."""
    for field in ("failure", "quirks"):
        if field in section and kind != "number":
            raise section.refuse(field, f"only a number can have it; write number: …, or {field} on number: '*'")
    change = Change(
        kind=kind,
        names=names,
        capabilities=_capabilities(section),
        reasons=_reasons(section) if "reasons" in section else None,
        additional_info=section.need("info", texts) if "info" in section else None,
        seen_by=_seen_by(section, fleet),
        failure=_failure(section) if "failure" in section else None,
        quirks=_quirks(section) if "quirks" in section else None,
        heal=section.take("heal", flag, default=False),
    )
    _refuse_half(section, change)
    return change


def _refuse_half(section: Section, change: Change) -> None:
    set_too = change.touches_health or change.failure or change.quirks is not None
    if change.heal and set_too:
        raise section.refuse("heal", "heals everything at once; write it alone")
    if not change.heal and not set_too:
        raise section.refuse("", f"nothing changes here; write one of {', '.join(FIELDS)} or a can_… field")


def _capabilities(section: Section) -> dict[str, str]:
    capabilities = {str(name): section.need(str(name), _status) for name in section.fields if str(name)[:4] == "can_"}
    return {MESSAGING: section.need("status", _status), **capabilities} if "status" in section else capabilities


def _status(value: object) -> str:
    """One of the known words, or a foreign one written in capitals: watchers must survive those."""
    word = text(value)
    looks_like = difflib.get_close_matches(word.upper(), STATUSES, n=1, cutoff=0.7)
    if word not in STATUSES and (looks_like or not word.isupper()):
        raise ValueError(f"{word!r} is no status{nearest(word.upper(), STATUSES)}")
    return word


def _reasons(section: Section) -> tuple[Reason, ...]:
    given = section.need("reasons", items)
    return tuple(_reason(section, f"reasons[{index}]", value) for index, value in enumerate(given))


def _reason(section: Section, place: str, value: object) -> Reason:
    if isinstance(value, int) and not isinstance(value, bool):
        return CATALOGUE.get(value, Reason(value, f"Restricted for a cause that only code {value} tells"))
    if not isinstance(value, dict):
        raise section.refuse(place, "write a code such as 141006, or {code: …, description: …, possible_solution: …}")
    fields = Section(value, section.place(place), section.origin)
    fields.allow(("code", "description", "possible_solution"))
    return Reason(
        value.get("code"),
        fields.take("description", text, None),
        fields.take("possible_solution", text, None),
    )


def _seen_by(section: Section, fleet: Fleet) -> tuple[str, ...]:
    names = section.need("seen_by", texts) if "seen_by" in section else ()
    for name in names:
        refuse_unknown(section, "seen_by", name, fleet.names("number"))
    return names


def _failure(section: Section) -> Failure:
    value = section.fields["failure"]
    if not isinstance(value, dict):
        return _usual(section.need("failure", one_of([*FAILURES, "none"])))
    fields = section.section("failure")
    fields.allow(("kind", "times", "delay", "retry_after", "location", "size", "every"))
    usual = _usual(fields.need("kind", one_of([*FAILURES, "none"])))
    return Failure(
        kind=usual.kind,
        times=fields.take("times", count, usual.times),
        delay=fields.take("delay", duration, usual.delay),
        retry_after=fields.take("retry_after", header, None),
        location=fields.take("location", header, usual.location),
        size=fields.take("size", count, None),
        every=fields.take("every", duration, usual.every),
    )


def _usual(kind: str) -> Failure:
    return Failure(kind="" if kind == "none" else kind, times=1 if kind == "reset_reused" else None)


def _quirks(section: Section) -> tuple[str, ...]:
    choose = one_of(list(QUIRKS))
    return section.need("quirks", lambda value: tuple(choose(name) for name in items(value)))
