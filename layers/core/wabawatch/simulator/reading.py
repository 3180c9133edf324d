"""Reading what a person wrote, so that each mistake is answered with its place and with what to write instead."""

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
import yaml

T = TypeVar("T")

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_HEADER = re.compile(r"[!-~]([ -~]*[!-~])?")


class ScenarioError(ValueError):
    """One sentence for a person: where the scenario, or the steering request, is wrong and what to write instead."""


class Origin(msgspec.Struct, frozen=True):
    """Where a document came from: its name, and the line (from 1) of each path in it; no lines for JSON."""

    name: str
    lines: Mapping[str, int] = {}

    def refuse(self, path: str, text: str) -> ScenarioError:
        line = self._line_of(path)
        where = f"{self.name}, line {line}" if line else self.name
        return ScenarioError(f"{where}: {path}: {text}" if path else f"{where}: {text}")

    def _line_of(self, path: str) -> int | None:
        """The line of the path, or of what it lies in where the path itself is missing from the file."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path)


class Section:
    """One mapping of a document, with its place; its fields are taken one by one, each through its reader.

    A reader takes the raw value, and returns what it means or raises ValueError with what to write.
    """

    def __init__(self, value: object, path: str, origin: Origin) -> None:
        self.path = path
        self.origin = origin
        if not isinstance(value, dict):
            raise origin.refuse(path, f"expected a mapping of fields, not {_shown(value)}")
        self.fields: dict[object, Any] = value

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def refuse(self, name: str, text: str) -> ScenarioError:
        return self.origin.refuse(self.place(name), text)

    def place(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path and name else self.path or name

    def allow(self, known: Collection[str], prefix: str | None = None) -> None:
        """Refuse any field that is not known, unless it starts with the prefix."""
        for name in self.fields:
            if name not in known and not (prefix and str(name).startswith(prefix)):
                raise self.refuse(str(name), f"unknown field{nearest(str(name), known)}")

    def need(self, name: str, reader: Callable[[Any], T]) -> T:
        if name not in self.fields:
            raise self.refuse(name, "missing; write it")
        try:
            return reader(self.fields[name])
        except ScenarioError:
            raise
        except ValueError as mistake:
            raise self.refuse(name, str(mistake)) from None

    def take(self, name: str, reader: Callable[[Any], T], default: T) -> T:
        return self.need(name, reader) if name in self.fields else default

    def section(self, name: str) -> "Section":
        return Section(self.fields.get(name, {}), self.place(name), self.origin)

    def sections(self, name: str) -> Iterator["Section"]:
        for index, value in enumerate(self.take(name, items, list[Any]())):
            yield Section(value, f"{self.place(name)}[{index}]", self.origin)


def nearest(word: str, known: Collection[str]) -> str:
    """The end of a refusal: the known word that looks most like this one, or all of them when they are few."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    shown = sorted(known)[:20]
    return f"; known are {', '.join(shown)}{' …' if len(known) > len(shown) else ''}"


def duration(value: object) -> timedelta:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError(f"{_shown(value)} is no duration; write for example 20s, 250ms or 1m30s")
    return sum((float(amount) * _UNITS[unit] for amount, unit in _PART.findall(value)), timedelta())


def text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a text, not {_shown(value)}; put it in quotes")
    return value


def identifier(value: object) -> str:
    """What names a target and a file."""
    word = text(value)
    if not _IDENTIFIER.fullmatch(word):
        raise ValueError(f"{_shown(word)} is no id; write at most 64 letters, digits, dots, dashes and underscores")
    return word


def header(value: object) -> str:
    """What can stand in a header: a number, or visible ASCII."""
    word = str(value) if isinstance(value, int) else text(value)
    if not _HEADER.fullmatch(word):
        raise ValueError("only visible ASCII can be sent in a header")
    return word


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {_shown(value)}")  # noqa: TRY004 - readers raise ValueError
    return value


def count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"expected a whole number from 1, not {_shown(value)}")
    return value


def items(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, not {_shown(value)}")  # noqa: TRY004 - readers raise ValueError
    return value


def texts(value: object) -> tuple[str, ...]:
    """One text, or a list of them."""
    return tuple(text(item) for item in (value if isinstance(value, list) else [value]))


def text_map(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"expected a mapping of texts, not {_shown(value)}")  # noqa: TRY004 - readers raise ValueError
    return {text(name): text(content) for name, content in value.items()}


def one_of(known: Collection[str]) -> Callable[[object], str]:
    def choice(value: object) -> str:
        if value not in known:
            raise ValueError(f"unknown: {_shown(value)}{nearest(str(value), known)}")
        return str(value)

    return choice


def _shown(value: object) -> str:
    return f"{str(value)[:60]!r}" if isinstance(value, str) else str(value)[:60]


def read_yaml(source: str, name: str) -> Section:
    """The document's root; raises ScenarioError for YAML that cannot be read, is no mapping, or names a field twice."""
    lines: dict[str, int] = {}
    try:
        loader = yaml.SafeLoader(source)
        root = loader.get_single_node()
        value = _plain(root, "", loader, Origin(name, lines), lines) if root else {}
    except yaml.MarkedYAMLError as mistake:
        line = mistake.problem_mark.line + 1 if mistake.problem_mark else 1
        raise Origin(name, {"": line}).refuse("", f"this is no YAML: {mistake.problem}") from None
    except yaml.reader.ReaderError as mistake:
        line = source.count("\n", 0, mistake.position) + 1
        raise Origin(name, {"": line}).refuse("", f"this is no YAML: {mistake.reason}") from None
    return Section(value, "", Origin(name, lines))


def _plain(node: yaml.Node, path: str, loader: yaml.SafeLoader, origin: Origin, lines: dict[str, int]) -> Any:  # noqa: ANN401 - any YAML value
    if lines.setdefault(path, node.start_mark.line + 1) and path.count(".") + path.count("[") > 20:  # noqa: PLR2004
        raise origin.refuse(path, "nested too deeply; write it flatter")
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, f"{path}[{index}]", loader, origin, lines) for index, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(node, path, loader, origin)
    value: dict[str, Any] = {}
    for key, content in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise origin.refuse(path, "a field's name is one word")
        inner = f"{path}.{key.value}" if path else str(key.value)
        lines[inner] = key.start_mark.line + 1
        if key.value in value:
            raise origin.refuse(inner, "written twice; keep one of them")
        value[key.value] = _plain(content, inner, loader, origin, lines)
    return value


def _scalar(node: yaml.Node, path: str, loader: yaml.SafeLoader, origin: Origin) -> Any:  # noqa: ANN401 - any YAML value
    try:
        return loader.construct_object(node)
    except ValueError as mistake:  # YAML takes 2024-13-45 for a date
        raise origin.refuse(path, f"{mistake}; put it in quotes") from None
