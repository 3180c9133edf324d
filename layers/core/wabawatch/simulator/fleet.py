"""The simulated numbers and the entities that they share, each with its capabilities and the reasons for them.

The codes are documented by Meta or reported by users; the provider publishes no complete list. The English and German
texts are invented for the simulator, so a client must not recognise anything by them.
"""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence

import msgspec

MESSAGING = "can_send_message"
CALLING = "can_receive_call_sip"
STATUSES = ("AVAILABLE", "LIMITED", "BLOCKED")


class Reason(
    msgspec.Struct, frozen=True, omit_defaults=True, rename={"code": "error_code", "description": "error_description"}
):
    """One entry of an entity's `errors`, with the field names of the API. Fields that are None are omitted."""

    code: int | str | None = None
    description: str | None = None
    possible_solution: str | None = None

    @property
    def is_about_calling(self) -> bool:
        """Codes 138000 to 138999 are about calling; one list contains both kinds."""
        return str(self.code).startswith("138")


class Health(msgspec.Struct, frozen=True):
    """What one entity reports. `capabilities` maps API names such as can_send_message to statuses."""

    capabilities: Mapping[str, str] = msgspec.field(default_factory=lambda: {MESSAGING: "AVAILABLE"})
    reasons: tuple[Reason, ...] = ()
    additional_info: tuple[str, ...] = ()


CATALOGUE: Mapping[int, Reason] = {
    reason.code: reason  # type: ignore[misc]  # every code below is a number
    for reason in (
        Reason(
            141000,
            "This phone number is not registered, so nothing can be sent from it.",
            "Register the phone number again and complete the verification by one-time code.",
        ),
        Reason(
            141002,
            "The message template has not been approved and cannot be sent.",
            "Correct the template as its review says, then submit it again.",
        ),
        Reason(
            141006,
            "A payment for this WhatsApp Business Account failed or no payment method is set up.",
            "Add a valid payment method in the account's billing settings, or settle the open balance.",
        ),
        Reason(
            141010,
            "The business behind this account has not passed verification, which restricts what it may send.",
            "Complete the business verification in the security centre of Business Manager.",
        ),
        Reason(
            141011,
            "The calling app does not hold the permission to send messages for this account.",
            "Ask the provider to grant the app its messaging permission again.",
        ),
        Reason(
            141014,
            "The WhatsApp Business Account has been banned for breaking the messaging policy.",
            "Read the violation in Business Manager and ask for a review of the decision.",
        ),
        Reason(
            138024,
            "Calls over SIP are not enabled for this phone number.",
            "Switch on calling and SIP in the phone number's call settings.",
        ),
        Reason(
            138025,
            "No SIP server is configured that could take calls.",
            "Enter the SIP server's host name in the call settings.",
        ),
    )
}

GERMAN: Mapping[int, str] = {
    141000: "Diese Telefonnummer ist nicht registriert; von ihr kann nichts gesendet werden.",
    141002: "Die Nachrichtenvorlage wurde nicht genehmigt.",
    141006: "Eine Zahlung für dieses Konto ist fehlgeschlagen, oder es fehlt eine Zahlungsart.",
    141010: "Das Unternehmen hat die Verifizierung nicht bestanden.",
    141011: "Der App fehlt die Berechtigung, Nachrichten zu senden.",
    141014: "Das Konto wurde wegen eines Richtlinienverstoßes gesperrt.",
    138024: "Anrufe über SIP sind für diese Nummer nicht aktiviert.",
    138025: "Es ist kein SIP-Server für Anrufe eingerichtet.",
}


def worst_status(statuses: list[str]) -> str:
    """Return the documented overall status: blocked, else limited, else available; unknown statuses are ignored."""
    return next((status for status in reversed(STATUSES) if status in statuses), STATUSES[0])


TYPES: Mapping[str, str] = {
    "number": "PHONE_NUMBER",
    "waba": "WABA",
    "business": "BUSINESS",
    "app": "APP",
    "template": "MESSAGE_TEMPLATE",
}
CALLING_USES = ("absent", "unused", "used")


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """One WhatsApp number.

    `waba`, `business`, `app` and `templates` are names; numbers with the same name share the entity.
    `calling` is "absent" (responses do not mention calls), "unused" (always blocked, as without SIP) or "used".
    """

    id: str
    name: str
    waba: str
    business: str
    app: str = "messaging-app"
    templates: tuple[str, ...] = ()
    calling: str = "absent"
    labels: Mapping[str, str] = {}
    api_key: str = ""

    @property
    def key(self) -> str:
        """The D360-API-KEY of this number: the same at every start, so that a written configuration stays valid."""
        return self.api_key or f"sim_{hashlib.sha256(f'key of {self.id}'.encode()).hexdigest()[:40]}"

    def entities(self) -> Iterator[tuple[str, str]]:
        """Yield (kind, name) of each entity, in the order of the provider's response."""
        yield from (("number", self.id), ("waba", self.waba), ("business", self.business), ("app", self.app))
        yield from (("template", name) for name in self.templates)


class Fleet(msgspec.Struct, frozen=True):
    """All numbers of one simulator."""

    numbers: tuple[Number, ...]

    def names(self, kind: str) -> set[str]:
        return {name for number in self.numbers for entity_kind, name in number.entities() if entity_kind == kind}

    def baselines(self) -> dict[tuple[str, str], Health]:
        """Return what each entity, by (kind, name), reports before any change, in the order of the numbers."""
        baselines: dict[tuple[str, str], Health] = {}
        for number in self.numbers:
            for kind, name in number.entities():
                if kind in ("number", "app"):
                    baselines[kind, name] = _add_calling(baselines.get((kind, name), Health()), kind, number.calling)
                else:
                    baselines.setdefault((kind, name), Health())
        return baselines


def _add_calling(health: Health, kind: str, use: str) -> Health:
    """Add the calling capability. One number that uses calling makes it AVAILABLE for the app that it shares."""
    if use == "used":
        return Health({MESSAGING: "AVAILABLE", CALLING: "AVAILABLE"})
    if use == "unused" and CALLING not in health.capabilities:
        code = 138024 if kind == "number" else 138025
        return Health({MESSAGING: "AVAILABLE", CALLING: "BLOCKED"}, (CATALOGUE[code],))
    return health


def wire_id(kind: str, name: str) -> str:
    """Return the id in responses: a name of digits is the id itself, any other name gets 15 digits, always the same."""
    if name.isdecimal():
        return name
    digits = int.from_bytes(hashlib.sha256(f"{kind}:{name}".encode()).digest()[:8])
    return f"1{digits % 10**14:014d}"


_PURPOSES = (
    "Support",
    "Orders",
    "Sales",
    "Bookings",
    "Deliveries",
    "Reminders",
    "Returns",
    "Billing",
    "Marketing",
    "Surveys",
)
_COUNTRIES = {
    "de": "Germany", "es": "Spain", "fr": "France", "it": "Italy", "pt": "Portugal", "br": "Brazil", "mx": "Mexico",
    "nl": "Netherlands", "at": "Austria", "se": "Sweden", "dk": "Denmark", "fi": "Finland", "pl": "Poland",
    "in": "India", "id": "Indonesia", "ar": "Argentina", "co": "Colombia", "za": "South Africa", "ke": "Kenya",
    "ae": "Emirates",
}  # fmt: skip


def generated_fleet(
    count: int, *, wabas: int | None = None, businesses: int | None = None, calling: str = "absent"
) -> Fleet:
    """Generate `count` numbers with plausible names, distributed evenly over accounts, and those over businesses.

    By default an account (waba-1, waba-2, …) has about five numbers, and a business (business-1, …) four accounts.
    """
    wabas = min(wabas or -(-count // 5), count)
    businesses = min(businesses or -(-wabas // 4), wabas)
    numbers = (
        Number(
            id=number_id,
            name=name,
            waba=f"waba-{index % wabas + 1}",
            business=f"business-{index % wabas % businesses + 1}",
            calling=calling,
            labels={"team": name.split()[0].lower()},
        )
        for index, (number_id, name) in enumerate(itertools.islice(_ids_and_names(), count))
    )
    return Fleet(tuple(numbers))


def _ids_and_names() -> Iterator[tuple[str, str]]:
    pairs: Sequence[tuple[str, str]] = [
        (f"{purpose.lower()}-{code}", f"{purpose} {country}")
        for code, country in _COUNTRIES.items()
        for purpose in _PURPOSES
    ]
    yield from pairs
    for suffix in itertools.count(2):
        yield from ((f"{number_id}-{suffix}", f"{name} {suffix}") for number_id, name in pairs)
