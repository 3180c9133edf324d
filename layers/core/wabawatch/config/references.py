"""References to secrets: the only form in which a configuration speaks of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wabawatch.config.scalars import url
from wabawatch.config.section import WrongError, kind_of

FORM: Final = (
    r"\A(?:env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\x00-\x1f\x7f]{1,1024}|ssm:[A-Za-z0-9_./:-]{1,1024}"
    r"|secretsmanager:[A-Za-z0-9/_+=.@:-]{1,1024}(?:#[^\x00-\x20\x7f#]{1,256})?)\Z"
)
HOW: Final = "env:NAME, file:PATH, ssm:NAME, secretsmanager:NAME or secretsmanager:NAME#KEY"
USABLE: Final = FORM.replace(r"\A(?:", r"\A(?!env:AWS_)(?:")
"""`FORM`, without the variables that hold AWS credentials."""
NOT_HERE: Final = (
    "variables and files are for a configuration on this machine; in S3 and for the functions write"
    " secretsmanager:NAME or ssm:NAME"
)
_SHOWABLE: Final = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")


def reference(value: object) -> str:
    """A reference as it is written. The message never holds any of the value, which may be the secret itself."""
    if not isinstance(value, str):
        raise WrongError(f"expected a reference to a secret, but this is {kind_of(value)}; write {HOW}")
    if value.partition(":")[0] not in {"env", "file", "ssm", "secretsmanager"}:
        raise WrongError(f"a secret itself does not belong here (not shown); put it away and write {HOW}")
    if not re.search(FORM, value):
        raise WrongError(f"not a reference that can be read (not shown); write {HOW}")
    if not re.search(USABLE, value):
        raise WrongError(f"variables whose names begin with AWS_ hold credentials and are never sent; write {HOW}")
    return value


def reference_or_url(value: object) -> str:
    """A reference, or an https URL that is no secret in itself."""
    if is_reference(value):
        return reference(value)
    try:
        return url(value)
    except WrongError as wrong:
        raise WrongError(f"{wrong}; a URL that holds a secret goes where secrets are kept: {HOW}") from None


def is_reference(value: object) -> bool:
    return isinstance(value, str) and re.search(FORM, value) is not None


def references(value: Any) -> set[str]:  # noqa: ANN401 - any JSON value
    """All references to secrets in a configuration's plain values."""
    if isinstance(value, str):
        return {value} if is_reference(value) else set()
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, Sequence) else ()
    return {one for each in inner for one in references(each)}


Explain = Callable[[str], str | None]
"""Says why a reference cannot be used here, or None. What lies in AWS is asked for when it is used."""


def explain_local(value: str) -> str | None:
    """Refuse variables and files, for a configuration that somebody else may have written.

    Those of a function hold its role's credentials, and the configuration says where a key is sent."""
    return NOT_HERE if value.startswith(("env:", "file:")) else None


def missing(value: str, environment: Mapping[str, str]) -> str | None:
    """Why a reference to this machine leads nowhere, or None."""
    kind, _, name = value.partition(":")
    if kind == "env" and not environment.get(name):
        return _unset(name)
    if kind == "file" and not Path(name).is_file():
        return "the file it names does not exist; create it with the secret in it, or correct the path"
    return None


def _unset(name: str) -> str:
    """A name in the usual form is shown; any other might be a secret that somebody wrote after `env:`."""
    if _SHOWABLE.fullmatch(name):
        return f"the environment variable {name} is not set; set it (export {name}=…), or write another reference"
    return "the environment variable it names is not set; set it, or write another reference"
