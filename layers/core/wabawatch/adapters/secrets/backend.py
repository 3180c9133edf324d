"""The secret backends of this machine: environment variables and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from wabawatch.errors import SecretError

_MAX_BYTES: Final = 64 * 1024

ShouldStop = Callable[[], bool]
"""Returns whether to stop, because the time is over."""


class SecretBackend(Protocol):
    """Reads secrets of one scheme by name."""

    def read(self, names: Sequence[str], stopped: ShouldStop) -> Mapping[str, str | SecretError]:
        """Return the value or the error of each name, with as few calls as possible. Once `stopped`, the rest are
        NotFetchedError."""
        ...


class UnansweredError(SecretError):
    """The backend did not answer; a cached value may still be valid."""


class ClosedBackend:
    """Refuses every name of a scheme that is not allowed here."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme

    def read(self, names: Sequence[str], stopped: ShouldStop) -> Mapping[str, str | SecretError]:  # noqa: ARG002 - quick
        advice = "it is not read for a configuration in S3; write secretsmanager:NAME or ssm:NAME"
        return {name: SecretError(f"{self._scheme}:{name}: {advice}") for name in names}


class EnvironmentBackend:
    """Environment variables, except those that hold AWS credentials."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def read(self, names: Sequence[str], stopped: ShouldStop) -> Mapping[str, str | SecretError]:  # noqa: ARG002 - quick
        return {name: self._value(name) for name in names}

    def _value(self, name: str) -> str | SecretError:
        if name.startswith("AWS_"):
            return SecretError(f"env:{name}: variables whose names begin with AWS_ hold credentials and are never sent")
        return self._variables.get(name, _no_variable(name))


class FileBackend:
    """Files with one secret each, as Docker, Kubernetes and systemd provide them."""

    def read(self, names: Sequence[str], stopped: ShouldStop) -> Mapping[str, str | SecretError]:  # noqa: ARG002 - quick
        return {name: _content(name) for name in names}


def _no_variable(name: str) -> SecretError:
    return SecretError(f"env:{name}: there is no such variable in the environment; set it, or correct its name")


def _content(name: str) -> str | SecretError:
    try:
        with Path(name).expanduser().open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        return content.decode() if len(content) <= _MAX_BYTES else SecretError(f"file:{name}: too large for a secret")
    except UnicodeDecodeError:
        return SecretError(f"file:{name}: is no text; store the secret alone, as UTF-8")
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        return SecretError(f"file:{name}: cannot be read ({why}); check the path, and who may read it")
