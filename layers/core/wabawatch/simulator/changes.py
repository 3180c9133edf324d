"""A change to the fleet, parsed from a step of the scenario or from a control request.

Fields: `status` (short for can_send_message), any `can_…`, `reasons`, `info`, `seen_by`, `failure`, `quirks`, `heal`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wabawatch.config.scalars import read_one_of, read_word_like
from wabawatch.config.walker import FieldError, Fields, Path, Walker, described, nearest
from wabawatch.simulator.failures import FAILURES, Failure
from wabawatch.simulator.fleet import CALLING, CATALOGUE, MESSAGING, STATUSES, Fleet, Health, Reason
from wabawatch.simulator.quirks import QUIRKS
from wabawatch.simulator.reading import Count, Duration, Header, Names, Text

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


class ReasonFields(Fields):
    """A reason that is written out."""

    value_type = Reason

    code: Annotated[int | str, described(lambda code: code)] | None = None
    description: Text | UnsetType = UNSET
    possible_solution: Text | UnsetType = UNSET


class FailureFields(Fields):
    """A kind of failure with settings."""

    kind: Annotated[str, described(read_one_of([*FAILURES, "none"]), None, "slow")]
    times: Count | UnsetType = UNSET
    delay: Duration | UnsetType = UNSET
    retry_after: Header | UnsetType = UNSET
    location: Header | UnsetType = UNSET
    size: Count | UnsetType = UNSET
    every: Duration | UnsetType = UNSET

    @classmethod
    def build(cls, given: dict[str, Any]) -> Failure:
        kind = given["kind"]
        usual: dict[str, Any] = {"times": 1} if kind == "reset_reused" else {}
        return Failure(**{**usual, **given, "kind": "" if kind == "none" else kind})


def _read_reason(walker: Walker, value: object, path: Path) -> Reason:
    if isinstance(value, int) and not isinstance(value, bool):
        return CATALOGUE.get(value, Reason(value, f"Restricted (code {value})"))
    if not isinstance(value, dict):
        raise FieldError("write a code such as 141006, or {code: …, description: …, possible_solution: …}")
    reason: Reason = walker.read(ReasonFields, value, path)
    return reason


def _read_failure(walker: Walker, value: object, path: Path) -> Failure:
    """Read a failure by its kind alone, or with settings."""
    if isinstance(value, dict):
        failure: Failure = walker.read(FailureFields, value, path)
        return failure
    return FailureFields.build({"kind": read_one_of([*FAILURES, "none"])(value)})


Status = Annotated[str, described(read_word_like(STATUSES))]
"""One of the known words, or a foreign one written in capitals: watchers must survive those."""


class ChangeFields(Fields):
    """What happens; any `can_…` field is the status of that capability."""

    open_prefix = "can_"
    open_type: ClassVar[Any] = Status

    status: Status | UnsetType = UNSET
    reasons: tuple[Annotated[Any, Meta(extra={"read_below": _read_reason})], ...] | UnsetType = UNSET
    info: Names | UnsetType = UNSET
    seen_by: Names | UnsetType = UNSET
    failure: Annotated[Any, Meta(extra={"read_below": _read_failure})] = UNSET
    quirks: tuple[Annotated[str, described(read_one_of(list(QUIRKS)))], ...] | UnsetType = UNSET
    heal: bool | UnsetType = UNSET


def check_names(kind: str, names: tuple[str, ...], fleet: Fleet, field: str) -> None:
    """Raise FieldError for a name that is not in the fleet."""
    known = fleet.names(kind) | ({EVERYTHING} if field == kind else set())
    for name in names:
        if name not in known:
            raise FieldError(f"there is no {name!r} in the fleet{nearest(name, known)}", field)


def make_change(kind: str, names: tuple[str, ...], given: Mapping[str, Any], fleet: Fleet) -> Change:
    """Return the change that these fields describe. Raises FieldError for what does not belong together."""
    for field in ("failure", "quirks"):
        if field in given and kind != "number":
            raise FieldError(f"only a number can have it; write number: …, or {field} on number: '*'", field)
    check_names("number", given.get("seen_by", ()), fleet, "seen_by")
    capabilities = {**({MESSAGING: given["status"]} if "status" in given else {}), **given.get("open", {})}
    change = Change(
        kind=kind,
        names=names,
        capabilities=capabilities,
        reasons=given.get("reasons"),
        additional_info=given.get("info"),
        seen_by=given.get("seen_by", ()),
        failure=given.get("failure"),
        quirks=given.get("quirks"),
        heal=given.get("heal", False),
    )
    sets_something = change.touches_health or change.failure or change.quirks is not None
    if change.heal and sets_something:
        raise FieldError("heals everything at once; write it alone", "heal")
    if not change.heal and not sets_something:
        raise FieldError(f"nothing changes here; write one of {', '.join(FIELDS)} or a can_… field")
    return change
