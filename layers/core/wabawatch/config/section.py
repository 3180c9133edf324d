"""Reading a mapping field by field, noting every problem on the way instead of stopping at the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

import msgspec

Path = tuple[str | int, ...]
"""Where a value stands: names of fields and indices of lists, from the top."""

T = TypeVar("T")

_LONG_NUMBER: Final = 10**18
_PLAIN_WORD: Final = re.compile(r"(?!.*//)[\w .:+%/-]{1,24}", re.ASCII)


class WrongError(ValueError):
    """A value is not what its field needs. The text says what is wrong and what to write instead, without any
    secret. `index` tells which item of a list it is about."""

    def __init__(self, text: str, index: int | None = None) -> None:
        super().__init__(text)
        self.index = index


class Problem(msgspec.Struct, frozen=True):
    """One thing to correct, and where."""

    path: Path
    text: str


class Section:
    """A mapping under one path. Whatever nobody asked for by the end is an unknown field."""

    def __init__(self, fields: Mapping[str, Any], path: Path, problems: list[Problem]) -> None:
        self.fields = fields
        self.path = path
        self.problems = problems
        self._known: list[str] = []

    def take(self, name: str, reader: Callable[[Any], T], default: T) -> T:
        """The field as its reader makes it; the default where it is absent, or wrong."""
        self._known.append(name)
        if name not in self.fields:
            return default
        value = self.fields[name]
        if value is None and default is None:
            return default
        try:
            return reader(not_empty(value))
        except WrongError as wrong:
            self.wrong(str(wrong), *((name,) if wrong.index is None else (name, wrong.index)))
            return default

    def need(self, name: str, reader: Callable[[Any], T], instead: T, example: str) -> T:
        """A field that must be there. `instead` stands in for it until all problems are found."""
        if name not in self.fields:
            self.wrong(f"missing; write for example {name}: {example}", name)
        return self.take(name, reader, instead)

    def inner(self, name: str, reader: Callable[[Section], T], default: T) -> T:
        """A mapping below this one."""
        self._known.append(name)
        value = self.fields.get(name)
        if name not in self.fields or (value is None and default is None):
            return default
        return read(value, (*self.path, name), self.problems, reader, default)

    def each(self, name: str, reader: Callable[[Section], T | None]) -> tuple[T, ...]:
        """A list of mappings. What cannot be read is left out."""
        nothing: list[Any] = []
        items = enumerate(self.take(name, list_of_anything, nothing))
        found = [read(item, (*self.path, name, index), self.problems, reader, None) for index, item in items]
        return tuple(one for one in found if one is not None)

    def named(self, name: str, reader: Callable[[str, Section], T | None]) -> dict[str, T]:
        """Mappings by name."""
        found: dict[str, T] = {}
        nothing: Mapping[str, Any] = {}
        for key, value in self.take(name, mapping, nothing).items():
            path = (*self.path, name, key)
            one = read(value, path, self.problems, lambda section, key=key: reader(key, section), None)  # type: ignore[misc]  # key is bound here
            if one is not None:
                found[key] = one
        return found

    def wrong(self, text: str, *below: str | int) -> None:
        self.problems.append(Problem((*self.path, *below), text))

    def close(self) -> None:
        """Note the fields that nobody asked for."""
        for name in self.fields:
            if name not in self._known:
                self.wrong(f"unknown field{nearest(name, self._known)}", name)


def read(value: object, path: Path, problems: list[Problem], reader: Callable[[Section], T], default: T) -> T:
    """Read one mapping with everything in it; the default where it is none."""
    try:
        section = Section(mapping(not_empty(value)), path, problems)
    except WrongError as wrong:
        problems.append(Problem(path, str(wrong)))
        return default
    found = reader(section)
    section.close()
    return found


def not_empty(value: object) -> object:
    if value is None:
        raise WrongError("empty; write a value, or leave the field out")
    return value


def mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise WrongError(f"expected a mapping of fields, but this is {kind_of(value)}; write name: value, one a line")
    return value


def list_of_anything(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise WrongError(f"expected a list, but this is {kind_of(value)}; begin each of its items with a dash")
    return value


def kind_of(value: object) -> str:
    """What a value turned out to be, without what it holds."""
    if isinstance(value, bool):
        return "a boolean"
    kinds = {int: "a number", float: "a number", str: "a text", list: "a list", dict: "a mapping"}
    return kinds.get(type(value), "empty")


def shown(value: object) -> str:
    """A short plain word in quotes, to be recognised by; anything else might hold what nobody should read."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value) if abs(value) < _LONG_NUMBER else "this"
    return f'"{value}"' if isinstance(value, str) and _PLAIN_WORD.fullmatch(value) else "this"


def closest(word: str, known: Collection[str]) -> str | None:
    """The known word that looks most like this one, if any does."""
    import difflib  # noqa: PLC0415 - only where something is wrong

    found = difflib.get_close_matches(word[:64], known, n=1, cutoff=0.6)
    return found[0] if found else None


def nearest(word: str, known: Collection[str]) -> str:
    """The end of a complaint about an unknown word: the known one most like it, or the known ones."""
    close = closest(word, known)
    if close:
        return f"; write {close}"
    named = sorted(known)[:20]
    return f"; write one of {', '.join(named)}{' …' if len(known) > len(named) else ''}" if named else "; remove it"
