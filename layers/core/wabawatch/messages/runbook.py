"""Runbook: the meaning of each known reason code and cause, who can fix it, and how.

Neither 360dialog nor Meta publishes a full list of codes; these are documented or have been seen. Links lead to pages
of the two vendors' documentation, and are left out where there is none on the subject.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.domain.coverage import Completeness
from wabawatch.domain.health import CALLING, Reason, capability_of_code
from wabawatch.domain.notification import Advice
from wabawatch.messages.text import humanize_duration

_META: Final = "https://developers.facebook.com/documentation/business-messaging/whatsapp"
_D360: Final = "https://docs.360dialog.com/docs"
HEALTH: Final = f"{_META}/support/health-status"
FAILURES: Final = f"{_D360}/support/api-error-message-list"
_KEYS: Final = f"{_D360}/hub/api-key"
_NAMED_SHARDS: Final = 5

Key = int | str
"""A reason code, or the word for a cause: one of health.CAUSES, or the monitor's own."""

Overrides = Mapping[Key, Advice]
"""Advice of the configuration that replaces the catalogue's, by code or cause."""


class Entry(msgspec.Struct, frozen=True):
    """An entry of the catalogue. `meaning` is shown if the API gives a code without a text."""

    meaning: str
    who: str
    action: str
    link: str = ""

    @property
    def advice(self) -> Advice:
        return Advice(self.who, self.action, self.link)


_MONITOR_CAUSES: Final[Mapping[Key, Entry]] = {
    "configuration": Entry(
        "the configuration cannot be used as it is; the last good version goes on",
        "the monitor's operator",
        "Run `wabawatch config check` on it, correct what it names, and upload it again; `wabawatch doctor` shows "
        "whether it can be read.",
    ),
    "mass_failure": Entry(
        "most numbers cannot be read, so nothing is known of their health",
        "the monitor's operator",
        "Check what they have in common: the network, the provider, the secrets. The last known statuses stay.",
    ),
    "undeliverable": Entry(
        "the destination does not accept notifications",
        "the destination's owner",
        "Repair the destination or its secret, then try it with `wabawatch notify-test`. Missed alerts are sent then.",
    ),
    "refused": Entry(
        "the destination works, but refuses a message repeatedly",
        "the destination's owner",
        "`wabawatch doctor` says which message and why; the incident is sent to other destinations meanwhile.",
    ),
    "unheard": Entry(
        "the topic has no confirmed subscriber",
        "the monitor's operator",
        "Confirm the subscription by the link in the mail from AWS. One that is not confirmed within two days is "
        "deleted, and deploying again does not bring it back: make another with `aws sns subscribe`.",
    ),
    "incomplete": Entry(
        "a part of the fleet is not read",
        "the monitor's operator",
        "Read the log of the poll function; more memory, a higher concurrency or a longer interval give it more time.",
    ),
    "not_stored": Entry(
        "the state of some targets cannot be stored",
        "the monitor's operator",
        "Read the log of the poll for the reason; the other targets are monitored as before.",
    ),
    "set_aside": Entry(
        "stored rows could not be used and were set aside",
        "the monitor's operator",
        "Look for what wrote or damaged them; `wabawatch doctor` lists them, and a backup has the earlier ones.",
    ),
}  # fmt: skip

OUR_CAUSES: Final = tuple(str(cause) for cause in _MONITOR_CAUSES)
"""Causes of incidents about the monitor itself."""

CATALOGUE: Final[Mapping[Key, Entry]] = {
    141000: Entry(
        "the phone number is not linked or not registered",
        "the number's owner",
        "Register the number again and finish the verification by one-time code.",
        f"{_META}/solution-providers/registering-phone-numbers/",
    ),
    141002: Entry(
        "the message template is not approved",
        "the template's owner",
        "Send another template meanwhile; correct this one as its review says and submit it again.",
        f"{_D360}/waba-basics/templates",
    ),
    141006: Entry(
        "the payment method is missing or fails; business-initiated conversations are blocked",
        "the account's owner, billing",
        "Add a valid payment method or settle what is open; sending comes back by itself.",
        f"{_D360}/get-started/payments",
    ),
    141010: Entry(
        "the business has not passed verification",
        "the business's owner",
        "Finish the business verification in the security centre of Meta Business Suite.",
        f"{_D360}/resources/meta-business-verification",
    ),
    141011: Entry(
        "the calling app lacks the permission to send messages",
        "the provider (360dialog)",
        "Ask the provider's support to give its app the messaging permission for this account.",
        HEALTH,
    ),
    141014: Entry(
        "the account is banned",
        "the account's owner, by appeal",
        "Read the violation in Meta's Business Support Home and request a review there.",
        f"{_D360}/resources/wabas/waba-status",
    ),
    138024: Entry(
        "SIP is not enabled for calling",
        "the owner of calling; messages are not affected",
        "Enable SIP in the number's call settings, or ignore this if the number takes no calls.",
        f"{_META}/calling/sip/",
    ),
    138025: Entry(
        "SIP is not configured for calling",
        "the owner of calling; messages are not affected",
        "Enter the SIP server in the number's call settings, or ignore this if the number takes no calls.",
        f"{_META}/calling/sip/",
    ),
    "unauthorized": Entry(
        "the API key is not accepted",
        "the owner of the API keys",
        "Compare the key with the provider's hub. Reuse the key that is valid: a new one revokes all others.",
        _KEYS,
    ),
    "forbidden": Entry(
        "the API key may not read this",
        "the owner of the API keys",
        "Ask the provider's support whether reading the health is blocked for this number.",
        FAILURES,
    ),
    "throttled": Entry(
        "the provider answers that it is asked too often",
        "the monitor's operator",
        "Poll less often, or limit the requests per second in the configuration.",
        FAILURES,
    ),
    "disabled": Entry(
        "the provider has disabled this number: nothing is sent",
        "the account's owner, with the provider's support",
        "Ask the provider's support why it was disabled and what brings it back.",
        FAILURES,
    ),
    "payment_required": Entry(
        "invoices to the provider are overdue: nothing is sent",
        "the account's owner, billing",
        "Settle the overdue invoices with the provider or the integration partner.",
        f"{_D360}/get-started/payments",
    ),
    "not_found": Entry(
        "the provider does not know this address or number",
        "the monitor's operator",
        "Compare the number's base URL with the address that came with its key.",
    ),
    "rejected": Entry(
        "the provider refuses the request",
        "the monitor's operator",
        "Read what the provider answered; its support may know more.",
        FAILURES,
    ),
    "provider_error": Entry(
        "the provider fails to answer",
        "the provider (360dialog)",
        "Look at the provider's status page and wait; write to its support if it lasts.",
        FAILURES,
    ),
    "unreachable": Entry(
        "the provider cannot be reached",
        "the monitor's network operator",
        "See whether other numbers are affected too: then it is DNS, the network or the provider.",
    ),
    "timeout": Entry(
        "the provider does not answer in time",
        "the provider (360dialog)",
        "Look at the provider's status page and wait; write to its support if it lasts.",
    ),
    "unreadable": Entry(
        "the answer holds no status that can be read",
        "the monitor's operator",
        "Read one answer with `wabawatch probe`; if the format is new, report it to this project.",
        f"{_D360}/messaging/health-status",
    ),
    "redirected": Entry(
        "the answer is a redirect, which is never followed because the key would travel along",
        "the monitor's operator",
        "Set the number's base URL to the address that the provider gives for it.",
    ),
    "key_unreadable": Entry(
        "the reference to the API key cannot be resolved, so nothing was asked",
        "the owner of the API keys",
        "See that the secret exists and that the monitor may read it.",
    ),
    "key_not_fetched": Entry(
        "the API key could not be fetched before the pass ended, so nothing was asked; the next pass goes on with it",
        "the monitor's operator",
        "Keep many keys in one JSON secret (secretsmanager:NAME#key) instead of one parameter or secret for each.",
    ),
    "no_descriptors": Entry(
        "the monitor could not open a connection, because its process has too many files open; nothing was asked",
        "the monitor's operator",
        "Lower source.concurrency, or raise the process's limit (ulimit -n).",
    ),
    **_MONITOR_CAUSES,
}  # fmt: skip

_UNKNOWN_CODE: Final = Entry(
    "",
    "the account's owner, with the provider's support",
    "Follow the API's own suggestion; with none, ask the provider's support about this code.",
    HEALTH,
)
_UNKNOWN_CALLING: Final = Entry(
    "",
    "the owner of calling; messages are not affected",
    "Follow the API's own suggestion for calling.",
    f"{_META}/calling/troubleshooting/",
)
_NO_CODE: Final = Entry(
    "",
    "the account's owner",
    "Read the text; it comes from Meta without a code.",
    HEALTH,
)


def advice(code: int | None, cause: str = "", overrides: Overrides | None = None) -> Advice:
    """Return who can fix it, what to do, and a guide; never empty. A field that an override leaves empty is taken from
    the catalogue."""
    known = _entry(code, cause).advice
    own = (overrides or {}).get(cause if code is None else code)
    if own is None:
        return known
    return Advice(own.who or known.who, own.action or known.action, own.link or known.link)


def advise(reason: Reason, overrides: Overrides | None = None) -> Advice:
    """Return the advice for a reason of an incident."""
    return advice(reason.code, cause_of(reason), overrides)


def cause_of(reason: Reason) -> str:
    """Return the cause that a reason stands for, or ""."""
    known = reason.code is None and reason.description in CATALOGUE
    return reason.description if known else ""


def unlisted(codes: Mapping[int, int], overrides: Overrides | None = None) -> dict[int, int]:
    """Select the counted codes that neither the catalogue nor the configuration knows."""
    known = {*CATALOGUE, *(overrides or ())}
    return {code: count for code, count in sorted(codes.items()) if code not in known}


def meaning(reason: Reason) -> str:
    """Return what a known code or cause means, or ""."""
    key = reason.code if reason.code is not None else reason.description
    return CATALOGUE[key].meaning if key in CATALOGUE else ""


def incomplete_reason(found: Completeness, now: datetime) -> Reason | None:
    """Say which part of the fleet is not read: `shards 3 and 7 of 32 (6,250 numbers) have not been read for 14 min`."""
    if not found.late or found.late_since is None:
        return None
    numbers = f"{found.numbers:,} number{'' if found.numbers == 1 else 's'}"
    subject, verb = numbers, "has" if found.numbers == 1 else "have"
    if found.shards > 1:
        subject = f"{_shard_names(found.late)} of {found.shards} ({numbers})"
        verb = "has" if len(found.late) == 1 else "have"
    detail = f"{subject} {verb} not been read for {humanize_duration(now - found.late_since)}"
    return Reason(description="incomplete", detail=detail)


def _shard_names(shards: tuple[int, ...]) -> str:
    if len(shards) == 1:
        return f"shard {shards[0]}"
    named = [str(shard) for shard in shards[:_NAMED_SHARDS]]
    if len(shards) > _NAMED_SHARDS:
        named.append(f"{len(shards) - _NAMED_SHARDS} more")
    return f"shards {', '.join(named[:-1])} and {named[-1]}"


def _entry(code: int | None, cause: str) -> Entry:
    if code is None:
        return CATALOGUE.get(cause, _NO_CODE)
    return CATALOGUE.get(code) or (_UNKNOWN_CALLING if capability_of_code(code) == CALLING else _UNKNOWN_CODE)
