"""The health of an entity: its capabilities and the reasons for them.

The codes are documented by Meta or reported by users; the provider publishes no complete list. The English and German
texts are invented for the simulator, so a client must not recognise anything by them.
"""

from collections.abc import Mapping

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
