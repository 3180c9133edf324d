"""Read YAML into plain values, and find the line of any of them.

Both work on the parser's events, without recursion, so that no nesting can break the process, and without a node for
each value: a fleet of 100,000 targets must fit into a function's memory. Only true, false, null and decimal numbers are
not text: `no` and `22:30` are what they say. What PyYAML writes without quotes because it takes it for a text, such as
`1e3`, is a text here too."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator
from typing import Any, Final

import yaml

from wabawatch.config.walker import Path

DEPTH: Final = 32
EXPANDED: Final = 100_000
"""How many nodes all aliases together may stand for."""

_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,17})(\.\d{1,30}(?:[eE][+-]\d{1,3})?)?", re.ASCII)
_WORDS: Final = {"true": True, "false": False, "null": None, "~": None, "": None}
_UNTAGGED: Final = (None, "!")
_STR: Final = "tag:yaml.org,2002:str"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(ValueError):
    """The text is not YAML, or holds what a configuration may not. `line` counts from 1; `path` is where, as far as
    that is known."""

    def __init__(self, text: str, line: int, path: Path = ()) -> None:
        super().__init__(text)
        self.line = line
        self.path = path


class _Frame:
    """A list or mapping that is not closed yet. `key` is the field that waits for its value, `lines` has the lines of
    the fields so far, `start` the number of nodes before this one."""

    __slots__ = ("anchor", "key", "lines", "start", "value")

    def __init__(self, value: Any, anchor: str | None, start: int) -> None:  # noqa: ANN401 - a list or a dict
        self.value = value
        self.anchor = anchor
        self.start = start
        self.key: str | None = None
        self.lines: dict[str, int] = {}

    @property
    def wants_key(self) -> bool:
        return self.key is None and isinstance(self.value, dict)


class _Builder:
    """Builds plain values from events. `wanted` paths get their lines noted in `found`."""

    def __init__(self, wanted: Collection[Path] = ()) -> None:
        self.root: Any = None
        self.is_empty = True
        self.found: dict[Path, int] = {}
        self._wanted = wanted
        self._open: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0
        self._expanded = 0

    def feed(self, event: Any) -> None:  # noqa: ANN401 - the stubs leave events untyped
        match type(event):
            case yaml.ScalarEvent:
                self._scalar(event)
            case yaml.MappingStartEvent:
                self._start({}, event)
            case yaml.SequenceStartEvent:
                self._start([], event)
            case yaml.MappingEndEvent | yaml.SequenceEndEvent:
                frame = self._open.pop()
                self._put(frame.value, frame.anchor, self._nodes - frame.start)
            case yaml.AliasEvent:
                self._alias(event)
            case yaml.DocumentStartEvent if not self.is_empty:
                raise YamlError("a second document begins; keep one, without ---", _line(event))

    def _scalar(self, event: Any) -> None:  # noqa: ANN401
        if event.tag not in {*_UNTAGGED, _STR}:
            raise YamlError("tags are not read; write the plain value", _line(event), self._path())
        if self._open and self._open[-1].wants_key:
            self._key(event.value, _line(event))
            return
        self._begin(event)
        is_plain = event.style in {None, ""} and event.tag is None
        self._put(_resolve(event.value) if is_plain else event.value, event.anchor, 1)

    def _key(self, key: str, line: int) -> None:
        frame = self._open[-1]
        if key == "<<":
            raise YamlError("merge keys are not read; write the fields out", line, self._path())
        if key in frame.lines:
            text = f"written twice, first on line {frame.lines[key]}; keep one of them"
            raise YamlError(text, line, (*self._path(), key))
        frame.lines[key] = line
        frame.key = sys.intern(key)
        if self._wanted and (path := self._path()) in self._wanted:
            self.found[path] = line

    def _start(self, value: Any, event: Any) -> None:  # noqa: ANN401
        if self._open and self._open[-1].wants_key:
            raise YamlError("a list or mapping cannot be a field's name; write a word", _line(event))
        if event.tag not in _UNTAGGED:
            raise YamlError("tags are not read; write the plain value", _line(event), self._path())
        if len(self._open) >= DEPTH:
            raise YamlError("nested too deeply; write it flatter", _line(event))
        self._begin(event)
        self._open.append(_Frame(value, event.anchor, self._nodes - 1))

    def _alias(self, event: Any) -> None:  # noqa: ANN401
        if event.anchor not in self._anchors or (self._open and self._open[-1].wants_key):
            text = "an alias (*) that stands for nothing written before it; put the text in quotes"
            raise YamlError(text, _line(event))
        self._begin(event)
        value, weight = self._anchors[event.anchor]
        self._nodes += weight - 1
        self._expanded += weight
        if self._expanded > EXPANDED:
            raise YamlError(f"YAML aliases expand to more than {EXPANDED:,} nodes; write the fields out", _line(event))
        self._put(value, None, weight)

    def _begin(self, event: Any) -> None:  # noqa: ANN401
        """Count a node, and note its line: a field's is the line of its name, an item's its own."""
        self._nodes += 1
        self.is_empty = False
        if self._wanted and self._open and self._open[-1].key is None:
            path = (*self._path(), len(self._open[-1].value))
            if path in self._wanted:
                self.found[path] = _line(event)
        elif self._wanted and not self._open:
            self.found[()] = _line(event)

    def _put(self, value: Any, anchor: str | None, weight: int) -> None:  # noqa: ANN401
        if anchor is not None:
            self._anchors[anchor] = (value, weight)
        if not self._open:
            self.root = value
            return
        frame = self._open[-1]
        if frame.key is None:
            frame.value.append(value)
        else:
            frame.value[frame.key] = value
            frame.key = None

    def _path(self) -> Path:
        """Return the path of the innermost open value, down to the field that waits for its value."""
        steps = [len(frame.value) if frame.key is None else frame.key for frame in self._open]
        return tuple(steps if not self._open or self._open[-1].key is not None else steps[:-1])


def parse(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the one document's values; None for an empty one. Raises YamlError."""
    return _build(text, _Builder()).root


def find_lines(text: str, paths: Collection[Path]) -> dict[Path, int]:
    """Return the line of each path, or of the nearest value around it that is written. Raises YamlError."""
    wanted = {path[:length] for path in paths for length in range(len(path) + 1)}
    found = _build(text, _Builder(wanted)).found
    return {path: next((found[p] for n in range(len(path), -1, -1) if (p := path[:n]) in found), 1) for path in paths}


def _build(text: str, builder: _Builder) -> _Builder:
    for event in _events(text):
        builder.feed(event)
    return builder


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise YamlError(f"not YAML ({error.problem or error.context}); {_advice(error)}", line) from None
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
    return int(event.start_mark.line) + 1


def _resolve(text: str) -> bool | float | str | None:
    if text in _WORDS:
        return _WORDS[text]
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text
    return float(text) if number[1] else int(text)
