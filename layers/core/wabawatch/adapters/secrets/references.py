"""References to secrets: where a value lies, as the configuration writes it."""

from __future__ import annotations

from typing import Final

import msgspec

from wabawatch.errors import SecretError

ENV: Final = "env"
FILE: Final = "file"
SSM: Final = "ssm"
SECRETS_MANAGER: Final = "secretsmanager"
FORMS: Final = "env:NAME, file:PATH, ssm:NAME or secretsmanager:NAME#json-key"
"""For people who wrote something else."""


class Reference(msgspec.Struct, frozen=True):
    """`scheme:name`, and for Secrets Manager the key within a secret that holds a JSON object."""

    scheme: str
    name: str
    json_key: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """What is read at once, whatever its parts."""
        return (self.scheme, self.name)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}" + ("" if self.json_key is None else f"#{self.json_key}")


def parse_reference(text: str) -> Reference:
    """Raises SecretError, which does not repeat the text: it may be the secret itself."""
    scheme, _, name = text.partition(":")
    if scheme not in (ENV, FILE, SSM, SECRETS_MANAGER) or not name.strip():
        raise SecretError(f"a secret is given by where it lies, never by its value: write {FORMS}")
    if scheme != SECRETS_MANAGER:
        return Reference(scheme, name)
    secret, sign, json_key = name.partition("#")
    if not secret or (sign and not json_key):
        raise SecretError(f"secretsmanager:{name} is not whole: write secretsmanager:NAME#json-key")
    return Reference(scheme, secret, json_key if sign else None)
