"""Find secrets that a stack's functions may not read, by their names: the roles of template.yaml allow no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from wabawatch.adapters.stack import Stack
from wabawatch.application.secret_reference import SECRETS_MANAGER, SSM, parse_reference, references
from wabawatch.config import Settings, effective
from wabawatch.errors import ConfigurationError

_SHOWN: Final = 3


class _Readable(NamedTuple):
    """What may be read of a part of the configuration: by which function, below which name, and the one secret that a
    parameter of the stack names, by the functions' variable for it."""

    function: str
    name: str
    variable: str


_READABLE: Final = {
    "targets": _Readable("poll", "keys/", "WABAWATCH_API_KEY_SECRET"),
    "destinations": _Readable("notify", "destinations/", "WABAWATCH_SLACK_WEBHOOK_SECRET"),
    "heartbeat": _Readable("poll and notify", "heartbeat", "WABAWATCH_HEARTBEAT_SECRET"),
}


def unreadable_secrets(settings: Settings, stack: Stack) -> Iterator[str]:
    """Yield a sentence for each reference to a secret that the stack's functions may not read."""
    if not stack.secret_prefix:
        return
    plain = effective(settings)
    for part, readable in _READABLE.items():
        start = stack.secret_prefix + readable.name
        of_parameter = stack.environment.get(readable.variable, "").partition("#")[0]
        for text in sorted(references(plain[part])):
            scheme, name = parse_reference(text).place
            is_named = scheme == SECRETS_MANAGER and _name(name) == of_parameter
            if scheme in {SSM, SECRETS_MANAGER} and not is_named and not _name(name).startswith(start):
                written = f"/{start}" if scheme == SSM else start
                yield f"{text}: {readable.function} may not read it; give it a name that begins with {written}"


def refuse_unreadable_secrets(place: str, settings: Settings, stack: Stack | None) -> None:
    """Raise ConfigurationError if the stack's functions may not read a secret. Without a stack nothing is known."""
    found = list(unreadable_secrets(settings, stack)) if stack else []
    if found:
        further = f"\n{place}: and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ConfigurationError("\n".join(f"{place}: {one}" for one in found[:_SHOWN]) + further)


def _name(place: str) -> str:
    """Return the name that a prefix is compared with: without the rest of an ARN, without the six characters that AWS
    adds to a secret's name in its ARN, and without a parameter's leading slash."""
    if place.startswith("arn:"):
        place = re.sub("^secret:|^parameter|-[A-Za-z0-9]{6}$", "", place.split(":", 5)[-1])
    return place.removeprefix("/")
