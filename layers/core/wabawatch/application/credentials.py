"""Secrets: the one grammar of references to them, their values, and what a URL that they are sent to must look like.

A reference is `env:NAME`, `file:PATH`, `ssm:NAME` or `secretsmanager:NAME#KEY`. The configuration, the notifiers and
the store of secrets all use it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec

from wabawatch.errors import SecretError

MIN_KEY_LENGTH: Final = 8
"""A shorter value is part of ordinary words, which redacting it would garble."""
_KEY: Final = re.compile(r"[\x21-\x7e]{1,4096}")


class Secret(str):
    """The value of a secret. Its repr, and so that of whatever holds it, never shows the value; `str` does, for the
    request that needs it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)"


def explain_bad_key(key: str) -> str | None:
    """Return why a value cannot be an API key, and what to do, or None. The text holds none of the value."""
    if not _KEY.fullmatch(key):
        return (
            "what it holds is no API key: a key is letters, digits and signs without spaces, line breaks or accents; "
            "store the key alone"
        )
    if len(key) < MIN_KEY_LENGTH:
        return (
            f"what it holds is too short for an API key, which has at least {MIN_KEY_LENGTH} characters; "
            "store the whole key"
        )
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or address alone; does not resolve names."""
    with suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False


def host_of(url: str) -> str:
    """Return the host of a URL in lower case, "" for anything else."""
    with suppress(ValueError):
        return urlsplit(url).hostname or ""
    return ""


def explain_bad_url(url: str) -> str | None:
    """Return why nothing may be sent to this URL, or None. The text holds nothing of the URL, which may be a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not host or port == 0 or not is_plain or parts.scheme not in {"http", "https"}:
        return "not a URL; write https://host/path"
    if "@" in parts.netloc:
        return "the URL holds a user name or password; write it without, https://host/path"
    if parts.scheme == "http" and not is_loopback(host):
        return "http would send secrets in the clear; write https:// (http only for 127.0.0.1 and localhost)"
    return None


ENV: Final = "env"
FILE: Final = "file"
SSM: Final = "ssm"
SECRETS_MANAGER: Final = "secretsmanager"
SCHEMES: Final = (ENV, FILE, SSM, SECRETS_MANAGER)
FORMS: Final = "env:NAME, file:PATH, ssm:NAME, secretsmanager:NAME or secretsmanager:NAME#KEY"
"""For people who wrote something else."""

PATTERN: Final = (
    r"^(?!env:AWS_)(?:env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\x00-\x1f\x7f]{1,1024}|ssm:[A-Za-z0-9_./:-]{1,1024}"
    r"|secretsmanager:[A-Za-z0-9/_+=.@:-]{1,1024}(?:#[^\x00-\x20\x7f#]{1,256})?)$(?!\n)"
)
"""Valid in Python and in JSON Schema. Variables of AWS are left out: they hold the process's own credentials."""

SecretReference = Annotated[
    str,
    msgspec.Meta(
        description="a reference to a secret", extra_json_schema={"pattern": PATTERN}, extra={"reference": True}
    ),
]
"""A field that says where a secret is stored, and never holds the secret. The pattern is for editors only: msgspec 0.22
counts the references of a shared `Meta(pattern=...)` wrongly, which can crash the process."""


class Reference(msgspec.Struct, frozen=True):
    """`scheme:name`, and for Secrets Manager the key within a secret that holds a JSON object."""

    scheme: str
    name: str
    json_key: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """What is read with one call, whatever its keys."""
        return (self.scheme, self.name)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}" + ("" if self.json_key is None else f"#{self.json_key}")


def is_reference(value: object) -> bool:
    """Return whether a value is a reference that may be used."""
    return isinstance(value, str) and re.search(PATTERN, value) is not None


def explain_bad_reference(text: str) -> str | None:
    """Say why a text is not a usable reference, or return None. The answer holds none of it: it may be the secret."""
    if is_reference(text):
        return None
    if text.startswith("env:AWS_"):
        return f"variables whose names begin with AWS_ hold credentials and are never sent; write {FORMS}"
    if text.partition(":")[0] not in SCHEMES:
        return f"expected a secret reference, not the secret itself (not shown); write {FORMS}"
    return f"not a valid secret reference (not shown); write {FORMS}"


def parse_reference(text: str) -> Reference:
    """Parse a reference. Raises SecretError, which does not repeat the text: it may be the secret itself."""
    if why := explain_bad_reference(text):
        raise SecretError(why)
    scheme, _, name = text.partition(":")
    if scheme != SECRETS_MANAGER:
        return Reference(scheme, name)
    secret, separator, json_key = name.partition("#")
    return Reference(scheme, secret, json_key if separator else None)


def find_references(value: Any) -> set[str]:  # noqa: ANN401 - any JSON value
    """Return all references to secrets in plain values."""
    if isinstance(value, str):
        return {value} if is_reference(value) else set()
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, Sequence) else ()
    return {reference for item in inner for reference in find_references(item)}
