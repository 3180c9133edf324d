"""The destinations: a kind, and the options that its notifier declares as a struct."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, get_args

import msgspec

from wabawatch.application.secret_reference import Explain, is_reference, reference, reference_or_url
from wabawatch.config.model import Destination
from wabawatch.config.scalars import identifier, one_of, positive, text
from wabawatch.config.section import Section, WrongError, kind_of

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


def destinations(top: Section, kinds: Kinds) -> dict[str, Destination]:
    """All destinations by name."""

    def one(name: str, section: Section) -> Destination | None:
        try:
            identifier(name)
        except WrongError as wrong:
            section.wrong(str(wrong))
        return _destination(section, kinds)

    return top.named("destinations", one)


def _destination(section: Section, kinds: Kinds) -> Destination | None:
    kind = section.need("kind", one_of(kinds), "", next(iter(kinds), "console"))
    if kind not in kinds:
        for name in section.fields:
            section.take(name, lambda _: None, None)
        return None
    options = _options(section, kinds[kind])
    return None if options is None else Destination(kind, options)


def _options(section: Section, kind: type[msgspec.Struct]) -> msgspec.Struct | None:
    before = len(section.problems)
    given = {}
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name in section.fields:
            nothing = None if type(None) in get_args(field.type) else msgspec.UNSET
            given[field.name] = section.take(name, _reader(name, field.type), nothing)
        elif field.required:
            section.need(name, _reader(name, field.type), None, _example(name))
        else:
            section.take(name, text, None)
    if len(section.problems) > before:
        return None
    try:
        return kind(**given)
    except (ValueError, TypeError) as error:
        _blame(section, str(error))
        return None


def _blame(section: Section, text: str) -> None:
    """What the struct itself refuses: the option that its text begins with, or all of them together."""
    option, _, rest = text.partition(": ")
    if rest and option in section.fields:
        section.wrong(rest, option)
    else:
        section.wrong(text)


def _reader(name: str, kind: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - a type, or a union of some
    """How an option is read: as a reference where its type or its name says so, by its name where it is a URL, else by
    its type."""
    if _SECRET.search(name) or _says_reference(kind):
        return reference
    if name == "url" or name.endswith("_url"):
        return reference_or_url
    kinds = {kind, *get_args(kind)} - {type(None)}
    if timedelta in kinds:
        return positive
    if str in kinds and kinds <= {str, kind}:
        return text
    return lambda value: _converted(value, kind)


def _says_reference(kind: Any) -> bool:  # noqa: ANN401 - a type, annotated or not, or a union of some
    """Whether a type, or one in a union, is marked with `Meta(extra={"reference": True})`."""
    marks = (mark.extra or {} for mark in get_args(kind) if isinstance(mark, msgspec.Meta))
    return any(mark.get("reference") for mark in marks) or any(_says_reference(inner) for inner in get_args(kind))


def _converted(value: object, kind: Any) -> Any:  # noqa: ANN401 - whatever the struct declares
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # half a character has no UTF-8 form
        wanted = next((advice for word, advice in _WANTED.items() if f"Expected `{word}" in str(error)), None)
        raise WrongError(f"not what this option takes: {kind_of(value)}; {wanted or _choices(kind)}") from None


def _choices(kind: Any) -> str:  # noqa: ANN401 - a type, or a union of some
    words = [str(word) for word in get_args(kind) if isinstance(word, str | int)]
    return f"write one of {', '.join(words)}" if words else "see the README on this kind of destination"


def _example(name: str) -> str:
    if _SECRET.search(name):
        return f"env:{name.upper()}"
    return "https://host/path" if name.endswith("url") else "…"


def refuse_unusable(top: Section, explain: Explain) -> None:
    """Note the references that cannot be used here."""
    for name, fields in _mappings(top.fields.get("destinations")):
        for option, value in fields.items():
            if is_reference(value) and (why := explain(value)):
                top.wrong(why, "destinations", name, option)


def _mappings(value: object) -> list[tuple[str, dict[str, Any]]]:
    return [(name, one) for name, one in value.items() if isinstance(one, dict)] if isinstance(value, dict) else []
