"""References to secrets: the one grammar of `env:NAME`, `file:PATH`, `ssm:NAME` and `secretsmanager:NAME#KEY`.

The configuration, the notifiers and the store of secrets all use it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from wabawatch.errors import SecretError

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
