"""The configuration's text: JSON or YAML, as plain values, and the line of any of them for a message."""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import Any, Final

from wabawatch.config.section import Path, Problem
from wabawatch.errors import ConfigurationError

LARGEST: Final = 64 * 1024 * 1024
_MOST_TOLD: Final = 50


class Document:
    """A text under a name. Raises ConfigurationError where it cannot be read at all."""

    def __init__(self, text: str | bytes, name: str) -> None:
        self.name = name
        self.text = self._decoded(text)
        self._is_yaml = False

    @cached_property
    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        """The plain values. JSON takes a path without YAML, a hundred times as fast; what fails there is read as YAML,
        which tells the line."""
        if self.text.lstrip()[:1] == "{":
            try:
                return json.loads(self.text, object_pairs_hook=_unique, parse_constant=_refused)
            except (ValueError, RecursionError):
                pass
        return self._yaml()

    def refuse(self, problems: list[Problem]) -> ConfigurationError:
        """One error that tells every problem, by line; past fifty, how many more there are."""
        placed = sorted(((self._line(one.path), one) for one in problems), key=lambda pair: pair[0])
        notified = [f"{self.name}:{line}: {dotted(one.path)}: {one.text}" for line, one in placed[:_MOST_TOLD]]
        rest = len(placed) - len(notified)
        return ConfigurationError(
            "\n".join([*notified, f"{self.name}: and {rest} more problems"] if rest else notified)
        )

    def _decoded(self, text: str | bytes) -> str:
        if len(text) > LARGEST:
            raise ConfigurationError(f"{self.name}: larger than {LARGEST >> 20} MiB; split the fleet over deployments")
        if isinstance(text, str):
            return text.removeprefix("\ufeff")
        try:
            return text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = text[: error.start].count(b"\n") + 1
            raise ConfigurationError(f"{self.name}:{line}: not UTF-8 text; save the file as UTF-8") from None

    def _yaml(self) -> Any:  # noqa: ANN401 - any JSON value
        from wabawatch.config.yamltree import YamlError, plain  # noqa: PLC0415 - JSON needs no YAML

        try:
            value = plain(self.text)
        except YamlError as error:
            place = f" {dotted(error.path)}:" if error.path else ""
            raise ConfigurationError(f"{self.name}:{error.line}:{place} {error}") from None
        self._is_yaml = True
        return value

    @cached_property
    def _tree(self) -> Any:  # noqa: ANN401 - a node, whose module is loaded only when needed
        """The lines, read when a problem is to be told. The escapes of a JSON text are legal in YAML only in part, and
        tabs only here and there: neither matters for lines."""
        from wabawatch.config.yamltree import YamlError, tree  # noqa: PLC0415 - only where something is wrong

        if self._is_yaml:
            return tree(self.text)
        if "\n" not in self.text.strip():
            return None
        try:
            return tree(re.sub(r"\\(?:u[0-9a-fA-F]{4}|.)", "x", self.text.replace("\t", " ")))
        except YamlError:
            return None

    def _line(self, path: Path) -> int:
        """The line of the value's name, or of the nearest thing around it."""
        node = self._tree
        line = node.line if node else 1
        for step in path:
            inner = _below(node, step)
            if inner is None:
                break
            line = node.lines[step] if isinstance(step, str) else inner.line
            node = inner
        return line


def _below(node: Any, step: str | int) -> Any:  # noqa: ANN401 - a node
    if node is None:
        return None
    if isinstance(node.value, dict):
        return node.value.get(step)
    inside = isinstance(node.value, list) and isinstance(step, int) and step < len(node.value)
    return node.value[step] if inside else None


def dotted(path: Path) -> str:
    """`targets[3].api_key`, as people write it. Odd characters in a field's name are left out."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{re.sub(r'[^ -~]', '?', step)[:64]}" for step in path]
    return "".join(parts).removeprefix(".") or "the whole file"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is written twice")
    return fields


def _refused(word: str) -> float:
    raise ValueError(f"{word} is no JSON")
