"""YAML as a tree with line numbers, built from the parser's events: without recursion, so that no nesting can break the
process, and with few scalars: only true, false, null and decimal numbers are not text. `no` and `22:30` are what they
say. What PyYAML writes without quotes because it takes it for a text, such as `1e3`, is a text here too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, Final

import yaml

from wabawatch.config.section import Path

DEPTH: Final = 32
EXPANDED: Final = 100_000
"""How many nodes all aliases together may stand for."""

_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,17})(\.\d{1,30}(?:[eE][+-]\d{1,3})?)?", re.ASCII)
_WORDS: Final = {"true": True, "false": False, "null": None, "~": None, "": None}
_STR: Final = "tag:yaml.org,2002:str"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(ValueError):
    """The text is no YAML, or holds what a configuration may not; `line` counts from 1; `path` is where,
    as far as that is known."""

    def __init__(self, text: str, line: int, path: Path = ()) -> None:
        super().__init__(text)
        self.line = line
        self.path = path


class Node:
    """A value and the line on which it begins. `value` is a scalar, a list of nodes, or a dict of nodes by key.

    `lines` has the lines of a dict's keys; `weight` counts the nodes below, this one included."""

    __slots__ = ("is_open", "line", "lines", "value", "weight")

    def __init__(self, value: Any, line: int) -> None:  # noqa: ANN401 - any YAML value
        self.value = value
        self.line = line
        self.lines: dict[str, int] = {}
        self.weight = 1
        self.is_open = isinstance(value, list | dict)


class _Builder:
    """Builds a tree of nodes, or of plain values alone (`keeps_lines` False), which take a quarter of the memory."""

    def __init__(self, *, keeps_lines: bool) -> None:
        self.keeps_lines = keeps_lines
        self.open: list[Node] = []
        self.keys: list[str | None] = []
        self.anchors: dict[str, Node] = {}
        self.expanded = 0
        self.root: Node | None = None

    def feed(self, event: Any) -> None:  # noqa: ANN401 - the stubs leave events untyped
        match type(event):
            case yaml.ScalarEvent:
                self._scalar(event)
            case yaml.MappingStartEvent | yaml.SequenceStartEvent:
                self._start(event)
            case yaml.MappingEndEvent | yaml.SequenceEndEvent:
                self._end()
            case yaml.AliasEvent:
                self._alias(event)
            case yaml.DocumentStartEvent if self.root is not None:
                raise YamlError("a second document begins; keep one, without ---", _line(event))

    def _scalar(self, event: Any) -> None:  # noqa: ANN401
        key_wanted = self._key_wanted
        if event.tag not in {None, "!", _STR}:
            raise YamlError("tags are not read; write the plain value", _line(event), self._path())
        if key_wanted:
            self._key(event.value, _line(event))
            return
        plain = event.style in {None, ""} and event.tag is None
        self._put(Node(_resolved(event.value) if plain else event.value, _line(event)), event.anchor)

    def _key(self, key: str, line: int) -> None:
        top = self.open[-1]
        if key == "<<":
            raise YamlError("merge keys are not read; write the fields out", line, self._path())
        if key in top.lines:
            text = f"written twice, first on line {top.lines[key]}; keep one of them"
            raise YamlError(text, line, (*self._path(), key))
        top.lines[key] = line
        self.keys[-1] = sys.intern(key)

    def _start(self, event: Any) -> None:  # noqa: ANN401
        if self._key_wanted:
            raise YamlError("a list or mapping cannot be a field's name; write a word", _line(event))
        if event.tag not in {None, "!"}:
            raise YamlError("tags are not read; write the plain value", _line(event), self._path())
        if len(self.open) >= DEPTH:
            raise YamlError("nested too deeply; write it flatter", _line(event))
        node = Node({} if type(event) is yaml.MappingStartEvent else [], _line(event))
        self._put(node, event.anchor)
        self.open.append(node)
        self.keys.append(None)

    def _end(self) -> None:
        node = self.open.pop()
        self.keys.pop()
        node.is_open = False
        if self.open:
            self.open[-1].weight += node.weight
            self.keys[-1] = None

    def _alias(self, event: Any) -> None:  # noqa: ANN401
        node = self.anchors.get(event.anchor)
        if node is None or node.is_open or self._key_wanted:
            raise YamlError(
                "an alias (*) that stands for nothing written before it; put the text in quotes", _line(event)
            )
        self.expanded += node.weight
        if self.expanded > EXPANDED:
            raise YamlError("the aliases stand for too much; write the fields out", _line(event))
        self._put(node, None)

    def _put(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        top, key = self.open[-1], self.keys[-1]
        inner = node if self.keeps_lines else node.value
        if key is None:
            top.value.append(inner)
        else:
            top.value[key] = inner
        if not node.is_open:
            top.weight += node.weight
            self.keys[-1] = None

    def _path(self) -> Path:
        """Where the builder stands: down to the field that has a name and no value yet."""
        steps = list(zip(self.open, self.keys, strict=True))
        around = tuple(len(node.value) - 1 if key is None else key for node, key in steps[:-1])
        return around if not steps or steps[-1][1] is None else (*around, steps[-1][1])

    @property
    def _key_wanted(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].value, dict) and self.keys[-1] is None


def tree(text: str) -> Node | None:
    """The root of the one document, with the lines of all that is below; None for an empty one. Raises YamlError."""
    return _build(text, keeps_lines=True)


def plain(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The one document's values; None for an empty one. Raises YamlError."""
    root = _build(text, keeps_lines=False)
    return None if root is None else root.value


def _build(text: str, *, keeps_lines: bool) -> Node | None:
    builder = _Builder(keeps_lines=keeps_lines)
    for event in _events(text):
        builder.feed(event)
    return builder.root


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"not YAML ({error.problem or error.context}); {_advice(error)}", _mark_line(mark)) from None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        raise YamlError("not YAML (a control character); remove it", line) from None


def _advice(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    if "tab" in problem or "cannot start any token" in problem:
        return "indent with spaces, and put texts that begin with a sign such as @ or % in quotes"
    if "mapping values" in problem:
        return 'put a text that holds ": " in quotes, and check the indentation'
    return "check the indentation, the colons, and that quotes and brackets are closed"


def _line(event: Any) -> int:  # noqa: ANN401
    return _mark_line(event.start_mark)


def _mark_line(mark: Any) -> int:  # noqa: ANN401
    return mark.line + 1 if mark else 1


def _resolved(text: str) -> bool | float | str | None:
    if text in _WORDS:
        return _WORDS[text]
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text
    return float(text) if found[1] else int(text)
