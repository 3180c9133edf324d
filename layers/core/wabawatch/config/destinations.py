"""The destinations: a kind, and the options that its notifier declares as a struct."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, get_args

import msgspec

from wabawatch.config.scalars import read_positive_duration, read_reference, read_reference_or_url, read_text
from wabawatch.config.walker import INVALID, FieldError, Path, Walker, kind_of, mapping, nearest, shown

Kinds = Mapping[str, type[msgspec.Struct]]
"""For each kind of destination, the struct of its options. A field without a default is required; one whose type is
marked with `Meta(extra={"reference": True})` takes a reference to a secret and nothing else."""

_SECRET: Final = re.compile(r"(?:^|_)(?:key|token|secret|password)$|^webhook_url$")
_WANTED: Final = {
    "int": "write a whole number, without quotes",
    "float": "write a number, without quotes",
    "bool": "write true or false, without quotes",
    "array": "write a list, in square brackets",
    "object": "write a mapping, name: value",
    "str": "write a text, in quotes",
}


class Destination(msgspec.Struct, frozen=True):
    """A configured place. `options` is the notifier's own struct; secrets in it are references, never values."""

    kind: str
    options: msgspec.Struct


def read_destination(walker: Walker, value: object, path: Path) -> Destination:
    """Read one destination by the options of its kind; INVALID if anything is wrong in it."""
    given = dict(mapping(value))
    kinds: Kinds = walker.kinds
    if "kind" not in given:
        raise FieldError(f"missing; write for example kind: {next(iter(kinds), 'console')}", "kind")
    try:
        kind = read_text(given.pop("kind"))
    except FieldError as error:
        raise FieldError(str(error), "kind") from None
    if kind not in kinds:
        raise FieldError(f"{shown(kind)} is not a known kind{nearest(kind, kinds)}", "kind")
    options = _read_options(walker, given, path, kinds[kind])
    return INVALID if options is INVALID else Destination(kind, options)


def _read_options(walker: Walker, given: dict[str, Any], path: Path, kind: type[msgspec.Struct]) -> Any:  # noqa: ANN401
    before = len(walker.problems)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    options = {}
    for name, value in given.items():
        if name not in fields:
            walker.note(f"unknown field{nearest(name, ['kind', *fields])}", (*path, name))
            continue
        field = fields[name]
        try:
            options[field.name] = _read_option(name, field.type, value)
        except FieldError as error:
            walker.note(str(error), (*path, name))
    for name, field in fields.items():
        if field.required and name not in given:
            walker.note(f"missing; write for example {name}: {_example(name)}", (*path, name))
    if len(walker.problems) > before:
        return INVALID
    try:
        return kind(**options)
    except (ValueError, TypeError) as error:  # what the struct itself refuses: "option: why", or all of them together
        option, _, why = str(error).partition(": ")
        raise (FieldError(why, option) if why and option in given else FieldError(str(error))) from None


def _read_option(name: str, kind: Any, value: object) -> Any:  # noqa: ANN401 - a type, and what it declares
    if value is None:
        if type(None) in get_args(kind):
            return None
        raise FieldError("empty; write a value, or leave the field out")
    return _reader(name, kind)(value)


def _reader(name: str, kind: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - a type, or a union of some
    """Choose how an option is read: as a reference if its type or its name says so, by its name if it is a URL, else by
    its type."""
    if _SECRET.search(name) or is_reference_type(kind):
        return read_reference
    if name == "url" or name.endswith("_url"):
        return read_reference_or_url
    kinds = {kind, *get_args(kind)} - {type(None)}
    if timedelta in kinds:
        return read_positive_duration
    if str in kinds and kinds <= {str, kind}:
        return read_text
    return lambda value: _converted(value, kind)


def is_reference_type(kind: Any) -> bool:  # noqa: ANN401 - a type, annotated or not, or a union of some
    """Return whether a type, or one in a union, is marked with `Meta(extra={"reference": True})`."""
    marks = (mark.extra or {} for mark in get_args(kind) if isinstance(mark, msgspec.Meta))
    return any(mark.get("reference") for mark in marks) or any(is_reference_type(inner) for inner in get_args(kind))


def _converted(value: object, kind: Any) -> Any:  # noqa: ANN401 - whatever the struct declares
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # half a character has no UTF-8 form
        wanted = next((advice for word, advice in _WANTED.items() if f"Expected `{word}" in str(error)), None)
        raise FieldError(f"not what this option takes: {kind_of(value)}; {wanted or _choices(kind)}") from None


def _choices(kind: Any) -> str:  # noqa: ANN401 - a type, or a union of some
    words = [str(word) for word in get_args(kind) if isinstance(word, str | int)]
    return f"write one of {', '.join(words)}" if words else "see the README on this kind of destination"


def _example(name: str) -> str:
    if _SECRET.search(name):
        return f"env:{name.upper()}"
    return "https://host/path" if name.endswith("url") else "…"
