"""A vault is one kind of place where secrets lie; this module has those of the machine itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from wabawatch.errors import SecretError

_MOST_BYTES: Final = 64 * 1024

Stopped = Callable[[], bool]
"""Whether the time is over."""


class Vault(Protocol):
    """Reads secrets by name."""

    def read(self, names: Sequence[str], stopped: Stopped) -> Mapping[str, str | SecretError]:
        """The value of each name, or why it has none; as few calls as the vault allows. Once `stopped`, the rest is not
        read: NotFetchedError."""
        ...


class UnansweredError(SecretError):
    """The vault could not be asked: a value known from before may still be right."""


class Closed:
    """What is not read here, whatever the name."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme

    def read(self, names: Sequence[str], stopped: Stopped) -> Mapping[str, str | SecretError]:  # noqa: ARG002 - quick
        advice = "it is not read for a configuration in S3; write secretsmanager:NAME or ssm:NAME"
        return {name: SecretError(f"{self._scheme}:{name}: {advice}") for name in names}


class Environment:
    """Variables of the environment, which is handed in, save those that hold AWS credentials."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def read(self, names: Sequence[str], stopped: Stopped) -> Mapping[str, str | SecretError]:  # noqa: ARG002 - quick
        return {name: self._value(name) for name in names}

    def _value(self, name: str) -> str | SecretError:
        if name.startswith("AWS_"):
            return SecretError(f"env:{name}: variables whose names begin with AWS_ hold credentials and are never sent")
        return self._variables.get(name, _no_variable(name))


class Files:
    """Files with one secret each, as Docker, Kubernetes and systemd hand them over."""

    def read(self, names: Sequence[str], stopped: Stopped) -> Mapping[str, str | SecretError]:  # noqa: ARG002 - quick
        return {name: _content(name) for name in names}


def _no_variable(name: str) -> SecretError:
    return SecretError(f"env:{name}: there is no such variable in the environment; set it, or correct its name")


def _content(name: str) -> str | SecretError:
    try:
        with Path(name).expanduser().open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        return content.decode() if len(content) <= _MOST_BYTES else SecretError(f"file:{name}: too large for a secret")
    except UnicodeDecodeError:
        return SecretError(f"file:{name}: is no text; store the secret alone, as UTF-8")
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        return SecretError(f"file:{name}: cannot be read ({why}); check the path, and who may read it")
