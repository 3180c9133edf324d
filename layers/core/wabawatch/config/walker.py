"""Read plain values into the structs of a schema, noting every mistake instead of stopping at the first.

A schema is made of msgspec structs. The walker converts by the declared types; a type that is annotated with
`Meta(extra={"read": function})` is read by that function, which returns the value or raises FieldError. A struct with a
class method `build(fields)` makes a value of another type of its fields; it gets those that are written, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, Union, get_args, get_origin

import msgspec

Path = tuple[str | int, ...]
"""Where a value stands: names of fields and indices of lists, from the top."""

_NOTHING: Final = msgspec.Meta()
INVALID: Final[Any] = object()
"""Stands for a value whose mistakes are noted."""
_LONG_NUMBER: Final = 10**18
_PLAIN_WORD: Final = re.compile(r"(?!.*//)[\w .:+%/-]{1,24}", re.ASCII)
_BOOLEANS: Final = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


class FieldError(ValueError):
    """A value is not what its field needs. The text says what is wrong and what to write instead, without any secret.
    `below` leads from the value to the part that is wrong."""

    def __init__(self, text: str, *below: str | int) -> None:
        super().__init__(text)
        self.below = below


class Problem(msgspec.Struct, frozen=True):
    """One mistake, and where it is."""

    path: Path
    text: str


class Fields(msgspec.Struct, forbid_unknown_fields=True):
    """A mapping of a file. `value_type` is what it makes, with that type's defaults for what is not written; None: just
    the fields that are written. Fields whose names begin with `open_prefix` are of `open_type`, and given as `open`."""

    value_type: ClassVar[Any] = None
    open_prefix: ClassVar[str | None] = None
    open_type: ClassVar[Any] = None

    @classmethod
    def build(cls, given: dict[str, Any]) -> Any:  # noqa: ANN401 - of value_type
        return given if cls.value_type is None else cls.value_type(**given)


def described(read: Callable[[Any], Any], pattern: str | None = None, *examples: str) -> msgspec.Meta:
    """Describe a field with a reader of its own. The pattern and the examples are for editors."""
    schema: dict[str, Any] = {"pattern": pattern} if pattern else {}
    if examples:
        schema["examples"] = list(examples)
    return msgspec.Meta(extra_json_schema=schema, extra={"read": read})


class Walker:
    """Reads values, and collects the mistakes in `problems`: of each place the first. `kinds` is for readers that need
    more than the value."""

    def __init__(self, kinds: Mapping[str, type[msgspec.Struct]] | None = None) -> None:
        self.kinds = kinds or {}
        self.ready: dict[Path, Any] = {}
        """Values that are read already."""
        self.problems: list[Problem] = []
        self._places: set[Path] = set()

    def note(self, text: str, path: Path) -> None:
        if path not in self._places:
            self._places.add(path)
            self.problems.append(Problem(path, text))

    def read(self, kind: Any, value: object, path: Path) -> Any:  # noqa: ANN401 - a type; whatever it declares
        """Return the value as the type declares it, or INVALID."""
        if path in self.ready:
            return self.ready[path]
        try:
            return self._convert(kind, value, path)
        except FieldError as error:
            self.note(str(error), (*path, *error.below))
            return INVALID

    def _convert(self, kind: Any, value: object, path: Path) -> Any:  # noqa: ANN401 - what the type declares
        kind, meta = _split(kind)
        origin, inner = get_origin(kind), get_args(kind)
        if value is None:
            if type(None) in inner:
                return None
            raise FieldError("empty; write a value, or leave the field out")
        extra = meta.extra or {}
        if "read" in extra:
            return extra["read"](value)
        if "read_below" in extra:
            return extra["read_below"](self, value, path)
        if origin in {Union, UnionType}:
            found = self._union(inner, value, path)
        elif origin is tuple:
            found = self._tuple(inner[0], items(value), path, meta)
        elif origin is dict:
            found = self._dict(inner[0], inner[1], mapping(value), path)
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            found = self._struct(kind, mapping(value), path)
        else:
            found = _scalar(kind, meta, value)
        return found

    def _union(self, kinds: tuple[Any, ...], value: object, path: Path) -> Any:  # noqa: ANN401 - what a type declares
        """Read a value that may be written alone or in a list (a tuple in any case), or that may be left out."""
        kinds = tuple(kind for kind in kinds if kind not in {type(None), msgspec.UnsetType})
        array = next((kind for kind in kinds if get_origin(_split(kind)[0]) is tuple), None)
        if len(kinds) == 1 or (array is not None and isinstance(value, list)):
            return self._convert(array or kinds[0], value, path)
        return (self._convert(next(kind for kind in kinds if kind is not array), value, path),)

    def _struct(self, cls: Any, value: Mapping[str, Any], path: Path) -> Any:  # noqa: ANN401 - a struct, or what it builds
        fields = {field.encode_name: field for field in _fields(cls)}
        prefix = getattr(cls, "open_prefix", None)
        before = len(self.problems)
        given = {}
        for name, field in fields.items():
            if name in value:
                given[field.name] = self.read(field.type, value[name], (*path, name))
            elif field.required:
                self.note(f"missing; write for example {name}: {_example(field.type)}", (*path, name))
        for name in value:
            if prefix and name.startswith(prefix):
                given.setdefault("open", {})[name] = self.read(cls.open_type, value[name], (*path, name))
            elif name not in fields:
                self.note(f"unknown field{nearest(name, fields)}", (*path, name))
        if len(self.problems) > before:
            return INVALID
        return cls.build(given) if hasattr(cls, "build") else cls(**given)

    def _dict(self, key: Any, kind: Any, value: Mapping[str, Any], path: Path) -> dict[Any, Any]:  # noqa: ANN401 - types
        names = {name: self.read(key, name, (*path, name)) for name in value}
        return {names[name]: self.read(kind, inner, (*path, name)) for name, inner in value.items()}

    def _tuple(self, kind: Any, value: list[Any], path: Path, meta: msgspec.Meta) -> tuple[Any, ...]:  # noqa: ANN401 - a type
        if not value and meta.min_length:
            empty = (meta.extra or {}).get("empty", "an empty list; write at least one, or leave the field out")
            raise FieldError(empty)
        return tuple(self.read(kind, item, (*path, index)) for index, item in enumerate(value))


@lru_cache(maxsize=128)
def _fields(cls: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Describe the fields of a struct. `msgspec.inspect` describes the whole schema at once, which takes longer than
    reading a small configuration."""
    return msgspec.structs.fields(cls)


def _split(kind: Any) -> tuple[Any, msgspec.Meta]:  # noqa: ANN401 - a type
    """Split a type from its annotation."""
    if get_origin(kind) is Annotated:
        return kind.__origin__, kind.__metadata__[0]
    return kind, _NOTHING


def _example(kind: Any) -> str:  # noqa: ANN401 - a type
    """Return the example that a required field's type gives, as it is written in YAML."""
    meta = _split(kind)[1]
    examples = meta.examples or (meta.extra_json_schema or {}).get("examples") or ("…",)
    return str(examples[0])


def _scalar(kind: Any, meta: msgspec.Meta, value: object) -> Any:  # noqa: ANN401 - a type, and what it declares
    if kind is bool:
        if isinstance(value, bool):
            return value
        meant = _BOOLEANS.get(value.casefold()) if isinstance(value, str) else None
        raise FieldError(f"{shown(value)} is {kind_of(value)}, not a boolean; write {meant or 'true or false'}")
    if kind is int:
        return _whole(value, int(meta.ge or 0), meta.le)
    if get_origin(kind) is Literal:
        known = get_args(kind)
        if not isinstance(value, str) or value not in known:
            raise FieldError(f"{shown(value)} is not known here{nearest(str(value), known)}")
        return value
    raise TypeError(f"the schema has no reader for {kind}")


def _whole(value: object, least: int, most: float | None) -> int:
    span = f" from {least}" + ("" if most is None else f" to {most}")
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(
            f"expected a number, but {shown(value)} is {kind_of(value)}; write a whole number{span}, without quotes"
        )
    if value < least or (most is not None and value > most):
        raise FieldError(f"{shown(value)} is out of range; write a whole number{span}")
    return value


def mapping(value: object) -> Mapping[str, Any]:
    """Require a mapping."""
    if not isinstance(value, dict):
        raise FieldError(f"expected a mapping of fields, but this is {kind_of(value)}; write name: value, one a line")
    return value


def items(value: object) -> list[Any]:
    """Require a list."""
    if not isinstance(value, list):
        raise FieldError(f"expected a list, but this is {kind_of(value)}; begin each of its items with a dash")
    return value


def kind_of(value: object) -> str:
    """Name the kind of a value, without what it holds."""
    if isinstance(value, bool):
        return "a boolean"
    kinds = {int: "a number", float: "a number", str: "a text", list: "a list", dict: "a mapping"}
    return kinds.get(type(value), "empty")


def shown(value: object) -> str:
    """Quote a short plain word, to be recognised by; anything else might hold what nobody should read."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value) if abs(value) < _LONG_NUMBER else "this"
    return f'"{value}"' if isinstance(value, str) and _PLAIN_WORD.fullmatch(value) else "this"


def closest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that looks most like this one, if any does."""
    import difflib  # noqa: PLC0415 - only where something is wrong

    found = difflib.get_close_matches(word[:64], known, n=1, cutoff=0.6)
    return found[0] if found else None


def nearest(word: str, known: Collection[str]) -> str:
    """End a message about an unknown word: with the known one most like it, or with the known ones."""
    close = closest(word, known)
    if close:
        return f"; write {close}"
    named = sorted(known)[:20]
    return f"; write one of {', '.join(named)}{' …' if len(known) > len(named) else ''}" if named else "; remove it"
