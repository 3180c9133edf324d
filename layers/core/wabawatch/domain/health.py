"""What one reading of a target says: statuses, reasons, entities, and the observation that holds them."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

AVAILABLE: Final = "AVAILABLE"
LIMITED: Final = "LIMITED"
BLOCKED: Final = "BLOCKED"
UNKNOWN: Final = "UNKNOWN"
GONE: Final = "GONE"
"""The new status of an entity that the API no longer reports."""

MESSAGING: Final = "can_send_message"
CALLING: Final = "can_receive_call_sip"
READABLE: Final = "health_status"
"""The capability of a TARGET to be read at all: AVAILABLE, or UNKNOWN with a cause."""

TARGET: Final = "TARGET"
"""The type of the entity that stands for the target itself: whether it can be read, and its overall status where that
says more than the entities (see `target_statuses`)."""

_CALLING_CODES: Final = range(138_000, 139_000)
_RANKS: Final = {AVAILABLE: 0, GONE: 0, LIMITED: 1, BLOCKED: 3}
_UPSTREAM: Final = ("BUSINESS", "WABA", "APP", "PHONE_NUMBER", "MESSAGE_TEMPLATE")

CAUSES: Final = (
    "unauthorized", "forbidden", "throttled", "disabled", "payment_required", "not_found", "rejected",
    "provider_error", "unreachable", "timeout", "unreadable", "redirected", "key_unreadable",
    "key_not_fetched", "no_descriptors",
)  # fmt: skip
"""Why a reading failed. All but the last three come from the API's answer; `key_unreadable` means that the reference to
the API key could not be resolved, so that nothing was asked."""

NOT_ASKED: Final = frozenset({"key_not_fetched", "no_descriptors"})
"""The monitor itself had no time or no means to ask. It says nothing of the target, which the next pass asks first."""

URGENT_CAUSES: Final = frozenset({"disabled", "payment_required"})
"""The provider says that the channel is down: told at the first observation."""


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an entity has its status. A line of additional info is a reason without a code.

    For a target that cannot be read `description` is the cause and `detail` what the answer said; a detail is shown and
    never compared.
    """

    code: int | None = None
    description: str = ""
    possible_solution: str = ""
    capability: str = MESSAGING
    detail: str = ""


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node in a report. `capabilities` maps every `can_*` word to its status, both as the API wrote them, in capitals
    for the status.
    """

    entity_type: str
    id: str
    capabilities: dict[str, str]
    reasons: tuple[Reason, ...] = ()


class Report(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="outcome", tag="report"):
    """One readable answer. `overall` holds the top-level statuses, `contradictions` says where they disagree with the
    entities or where the answer disagrees with itself. An `implausible` answer held more than any number has; only the
    worst of it is kept.
    """

    entities: tuple[Entity, ...]
    overall: dict[str, str] = {}
    contradictions: tuple[str, ...] = ()
    implausible: bool = False


class Failure(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="outcome", tag="failure"):
    """A reading that says nothing about the target's health. `cause` is one of CAUSES; `retry_after` is in seconds."""

    cause: str
    detail: str = ""
    retry_after: float | None = None


class Observation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The immutable outcome of a probe at an instant (aware, UTC): a health report, or a failure with its cause."""

    target: str
    observed_at: datetime
    outcome: Report | Failure = msgspec.field(default_factory=lambda: Report(()))


def rank(status: str) -> int:
    """How bad a status is. A word nobody has seen before is worse than LIMITED and not as bad as BLOCKED."""
    return _RANKS.get(status, 2)


def worst(statuses: list[str]) -> str:
    return max(statuses, key=rank)


def upstream_rank(entity_type: str) -> int:
    """Where a type stands: the smaller, the more numbers depend on it. Unknown types stand last."""
    return _UPSTREAM.index(entity_type) if entity_type in _UPSTREAM else len(_UPSTREAM)


def capability_of_code(code: int | None) -> str:
    """The capability that a code belongs to: 138000 to 138999 are calling's, all others messaging's."""
    return CALLING if code in _CALLING_CODES else MESSAGING


def reasons_for(entity: Entity, capability: str) -> tuple[Reason, ...]:
    """The reasons that may explain one capability of an entity: calling's only for calling, the rest for the rest."""
    if not entity.reasons:
        return ()
    wanted = CALLING if capability == CALLING else MESSAGING
    return tuple(reason for reason in entity.reasons if reason.capability == wanted)


def status_of(report: Report, capability: str = MESSAGING) -> str:
    """Return the target's status for a capability: the worst of its entities, and of the overall value where it counts.

    UNKNOWN where the report says nothing about this capability.
    """
    found = [entity.capabilities[capability] for entity in report.entities if capability in entity.capabilities]
    listed = worst(found) if found else UNKNOWN
    overall = report.overall.get(capability)
    if overall is None or (found and rank(overall) <= rank(listed)):
        return listed
    pluralize = target_statuses(report).get(capability)
    return worst([*found, pluralize]) if pluralize else listed


def target_statuses(report: Report) -> dict[str, str]:
    """Select the overall statuses that count as readings of the target itself, by capability.

    An overall status counts where no entity carries the capability, and where it is worse than every entity: the
    culprit is not listed then. But the API reports a number that does not use calling as BLOCKED overall; so a status
    that another capability of the report explains, being as bad, does not count.
    """
    if all(_is_well(report, capability, status) for capability, status in report.overall.items()):
        return {}
    listed: dict[str, int] = {}
    for entity in report.entities:
        for capability, status in entity.capabilities.items():
            listed[capability] = max(rank(status), listed.get(capability, 0))
    ranks = [*listed.items(), *((capability, rank(status)) for capability, status in report.overall.items())]
    return {
        capability: status
        for capability, status in report.overall.items()
        if capability not in listed
        or (
            (own := rank(status)) > listed[capability]
            and not any(other >= own for name, other in ranks if name != capability)
        )
    }


def _is_well(report: Report, capability: str, status: str) -> bool:
    """Whether an overall status can't be worse than its entities: most answers are like that, and are done with."""
    return rank(status) == 0 and any(capability in entity.capabilities for entity in report.entities)


def is_urgent(reasons: tuple[Reason, ...]) -> bool:
    """Whether the provider says that the channel is down."""
    return any(reason.description in URGENT_CAUSES for reason in reasons)


def identify_reasons(reasons: tuple[Reason, ...]) -> frozenset[str]:
    """What makes reasons the same between two readings: the code; the text, without its wording's accidents, where
    there is no code or where one code stands for several different texts.
    """
    if not reasons:
        return frozenset()
    texts: dict[int | None, set[str]] = {}
    for reason in reasons:
        texts.setdefault(reason.code, set()).add(_normal(reason.description))
    return frozenset(
        str(code) if code is not None and len(found) == 1 else f"{'' if code is None else code}:{text}"
        for code, found in texts.items()
        for text in found
    )


@lru_cache(maxsize=2048)  # the same texts come with every answer
def _normal(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", re.sub(r"\d+", "#", text.casefold()).replace("#", " ")).split())
