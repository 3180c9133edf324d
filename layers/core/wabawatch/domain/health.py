"""Define the health of a target as one probe reports it: statuses, reasons, entities, and the observation.

Statuses and capabilities are open vocabularies: the API may report a word that we do not know, and we keep it. So the
known words are constants, not an enum. The causes of a failed probe are our own, closed vocabulary: `Cause`.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
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
"""The capability of a TARGET: AVAILABLE if its health can be read, else UNKNOWN with a cause."""

TARGET: Final = "TARGET"
"""The entity type of the target itself. It has the capability READABLE, and the overall statuses of the report that say
more than its entities (see `target_statuses`)."""

_CALLING_CODES: Final = range(138_000, 139_000)
_RANKS: Final = {AVAILABLE: 0, GONE: 0, LIMITED: 1, BLOCKED: 3}
_UPSTREAM: Final = ("BUSINESS", "WABA", "APP", "PHONE_NUMBER", "MESSAGE_TEMPLATE")


class Cause(StrEnum):
    """Why a probe failed. All but the last three are derived from the API's answer, or from the lack of one."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    THROTTLED = "throttled"
    DISABLED = "disabled"
    PAYMENT_REQUIRED = "payment_required"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    PROVIDER_ERROR = "provider_error"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    UNREADABLE = "unreadable"
    REDIRECTED = "redirected"
    KEY_UNREADABLE = "key_unreadable"
    """The reference to the API key cannot be resolved, so no request was sent."""
    KEY_NOT_FETCHED = "key_not_fetched"
    """The time of the run was over before the API key was fetched."""
    NO_DESCRIPTORS = "no_descriptors"
    """The process has too many open files."""


CAUSES: Final = tuple(Cause)

NOT_ASKED: Final = frozenset({Cause.KEY_NOT_FETCHED, Cause.NO_DESCRIPTORS})
"""The monitor could not send the request. These causes say nothing about the target; the next pass probes it first."""

URGENT_CAUSES: Final = frozenset({Cause.DISABLED, Cause.PAYMENT_REQUIRED})
"""The provider reports that the channel is closed. One observation confirms these causes."""


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an entity has its status. A line of additional info is a reason without a code.

    For a target that cannot be read, `description` is the cause and `detail` is taken from the answer. A detail is
    displayed, but never compared.
    """

    code: int | None = None
    description: str = ""
    possible_solution: str = ""
    capability: str = MESSAGING
    detail: str = ""


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node in a report. `capabilities` maps every `can_*` field to its status, as the API sends them, the status in
    capital letters.
    """

    entity_type: str
    id: str
    capabilities: dict[str, str]
    reasons: tuple[Reason, ...] = ()


class Report(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="outcome", tag="report"):
    """A readable answer.

    `overall` holds the top-level statuses by capability. `contradictions` lists where they disagree with the entities,
    or where the answer disagrees with itself. An `implausible` answer lists more entities or reasons than any number
    has; only the worst of them are kept.
    """

    entities: tuple[Entity, ...]
    overall: dict[str, str] = {}
    contradictions: tuple[str, ...] = ()
    implausible: bool = False


class Failure(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="outcome", tag="failure"):
    """A failed probe. It says nothing about the target's health.

    `cause` is a `Cause`; it is a `str` so that a stored cause of a later version can be read. `retry_after` is in
    seconds.
    """

    cause: str
    detail: str = ""
    retry_after: float | None = None


class Observation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The immutable outcome of a probe: a health report, or a failure with its cause."""

    target: str
    observed_at: datetime
    outcome: Report | Failure = msgspec.field(default_factory=lambda: Report(()))


def rank(status: str) -> int:
    """Return how bad a status is; 0 is healthy. An unknown word is worse than LIMITED and better than BLOCKED."""
    return _RANKS.get(status, 2)


def worst(statuses: list[str]) -> str:
    """Return the worst of the statuses; of equally bad ones, the first."""
    return max(statuses, key=rank)


def upstream_rank(entity_type: str) -> int:
    """Return the position of an entity type upstream of a number: the smaller, the more numbers depend on it.

    Unknown types come last.
    """
    return _UPSTREAM.index(entity_type) if entity_type in _UPSTREAM else len(_UPSTREAM)


def capability_of_code(code: int | None) -> str:
    """Return the capability that a reason code belongs to: calling for 138000 to 138999, messaging for all others."""
    return CALLING if code in _CALLING_CODES else MESSAGING


def reasons_for(entity: Entity, capability: str) -> tuple[Reason, ...]:
    """Return the reasons that apply to a capability: calling has its own, all other capabilities share the rest."""
    if not entity.reasons:
        return ()
    wanted = CALLING if capability == CALLING else MESSAGING
    return tuple(reason for reason in entity.reasons if reason.capability == wanted)


def status_of(report: Report, capability: str = MESSAGING) -> str:
    """Return the target's status for a capability: the worst status of its entities, and the overall status where it
    counts (see `target_statuses`). UNKNOWN if the report does not contain the capability.
    """
    reported = [entity.capabilities[capability] for entity in report.entities if capability in entity.capabilities]
    listed = worst(reported) if reported else UNKNOWN
    overall = report.overall.get(capability)
    if overall is None or (reported and rank(overall) <= rank(listed)):
        return listed
    overall = target_statuses(report).get(capability)
    return worst([*reported, overall]) if overall else listed


def target_statuses(report: Report) -> dict[str, str]:
    """Select the overall statuses that count as readings of the target itself, by capability.

    An overall status counts if no entity has the capability, or if it is worse than every entity: the cause is not
    listed then. But the API reports a number that does not use calling as BLOCKED overall. Therefore a status does not
    count if another capability of the report is as bad.
    """
    if all(_is_healthy(report, capability, status) for capability, status in report.overall.items()):
        return {}  # true for most answers, and cheap
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


def _is_healthy(report: Report, capability: str, status: str) -> bool:
    return rank(status) == 0 and any(capability in entity.capabilities for entity in report.entities)


def is_urgent(reasons: tuple[Reason, ...]) -> bool:
    """Return whether the provider reports that the channel is closed."""
    return any(reason.description in URGENT_CAUSES for reason in reasons)


def identify_reasons(reasons: tuple[Reason, ...]) -> frozenset[str]:
    """Return what identifies reasons in two observations.

    A reason is identified by its code, or by its normalized text if it has no code or if several texts share the code.
    """
    if not reasons:
        return frozenset()
    texts: dict[int | None, set[str]] = {}
    for reason in reasons:
        texts.setdefault(reason.code, set()).add(_normalize(reason.description))
    return frozenset(
        str(code) if code is not None and len(variants) == 1 else f"{'' if code is None else code}:{text}"
        for code, variants in texts.items()
        for text in variants
    )


@lru_cache(maxsize=2048)  # each answer repeats the same texts
def _normalize(text: str) -> str:
    """Drop digits, punctuation, case and spacing, which differ between two answers with the same reason."""
    return " ".join(re.sub(r"[\W_]+", " ", re.sub(r"\d+", "#", text.casefold()).replace("#", " ")).split())


class TargetInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A target's id, name and labels. In a notification `status` is what an affected target has."""

    id: str
    name: str
    labels: dict[str, str] = {}
    status: str = ""
