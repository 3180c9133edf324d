"""Read what a person wrote with the configuration's loader, so that each mistake is shown with its place and advice."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from msgspec import Meta

from wabawatch.config.loading import Document, dotted
from wabawatch.config.scalars import parse_duration, read_any_text
from wabawatch.config.walker import FieldError, Fields, Problem, Walker, described, shown
from wabawatch.errors import ConfigurationError

T = TypeVar("T")

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_HEADER = re.compile(r"[!-~]([ -~]*[!-~])?")


class ScenarioError(ValueError):
    """The scenario, or the request to the control interface, is wrong: a line for each mistake, with what to write."""


def read_yaml(source: str, name: str, kind: type[Fields], build: Callable[[dict[str, Any]], T]) -> T:
    """Read a YAML document; an empty one has no fields. `build` makes the result of the fields that are written.

    Raises ScenarioError for what cannot be read, for every field that is wrong, and for a FieldError of `build`."""
    try:
        document = Document(source, name)
        value = document.parse()
    except ConfigurationError as error:
        raise ScenarioError(str(error)) from None
    return _read({} if value is None else value, kind, build, document.explain)


def read_fields(value: object, name: str, kind: type[Fields], build: Callable[[dict[str, Any]], T]) -> T:
    """Read plain values as `read_yaml` does; `name` is how messages call them."""

    def explain(problems: list[Problem]) -> str:
        return "\n".join(f"{name}: {dotted(problem.path)}: {problem.text}" for problem in problems)

    return _read(value, kind, build, explain)


def _read(
    value: object, kind: type[Fields], build: Callable[[dict[str, Any]], T], explain: Callable[[list[Problem]], str]
) -> T:
    walker = Walker()
    given = walker.read(kind, value, ())
    if walker.problems:
        raise ScenarioError(explain(walker.problems))
    try:
        return build(given)
    except FieldError as error:
        raise ScenarioError(explain([Problem(error.below, str(error))])) from None


def _read_duration(value: object) -> timedelta:
    try:
        return parse_duration(str(value), fractions=True)
    except ValueError:
        raise FieldError(f"{shown(value)} is not a duration; write for example 20s, 250ms or 1m30s") from None


def _read_identifier(value: object) -> str:
    """Read what names a target and a file."""
    word = read_any_text(value)
    if not _IDENTIFIER.fullmatch(word):
        raise FieldError(f"{shown(word)} is not an id; write at most 64 letters, digits, dots, dashes and underscores")
    return word


def _read_header(value: object) -> str:
    """Read what can be sent in a header: a number, or visible ASCII."""
    word = str(value) if isinstance(value, int) else read_any_text(value)
    if not _HEADER.fullmatch(word):
        raise FieldError("only visible ASCII can be sent in a header")
    return word


Text = Annotated[str, described(read_any_text)]
"""Any characters: the simulator sends what a hostile API could send."""
Names = Text | tuple[Text, ...]
Identifier = Annotated[str, described(_read_identifier, None, "support-de")]
Header = Annotated[str, described(_read_header)]
Duration = Annotated[timedelta, described(_read_duration, None, "20s")]
Count = Annotated[int, Meta(ge=1)]
