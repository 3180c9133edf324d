"""All notifiers, by the word that the configuration uses for them.

Adding one is a module here, a line in KINDS, and a golden payload under tests/contract/notifiers/golden. The module has

- `Options`: what its destinations are configured with, a frozen msgspec.Struct that forbids unknown fields;
- `build(name, options, world)`: the notifier of the destination of that name.

A module is imported when the configuration names it, and loads what is large with its first delivery: the function that
only polls reads the same configuration and must start fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final, Protocol, cast

import msgspec

from wabawatch.adapters.notifiers.context import NotifyContext
from wabawatch.application.ports import Notifier

KINDS: Final = {
    "console": "wabawatch.adapters.notifiers.console",
    "slack": "wabawatch.adapters.notifiers.slack",
    "sns": "wabawatch.adapters.notifiers.sns",
    "webhook": "wabawatch.adapters.notifiers.webhook",
}


class _Module(Protocol):
    Options: type[msgspec.Struct]

    def build(self, name: str, options: Any, world: NotifyContext) -> Notifier:  # noqa: ANN401 - of the type that Options names
        ...


def _module(kind: str) -> _Module:
    return cast("_Module", import_module(KINDS[kind]))


class _Options(Mapping[str, type[msgspec.Struct]]):
    def __getitem__(self, kind: str) -> type[msgspec.Struct]:
        return _module(kind).Options

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


OPTIONS: Final = _Options()
"""The options of each kind; the configuration is validated against them."""


def build(name: str, kind: str, options: msgspec.Struct, world: NotifyContext) -> Notifier:
    """The notifier of a destination: its name, one of KINDS, and options of the type in OPTIONS."""
    return _module(kind).build(name, options, world)


__all__ = ["KINDS", "OPTIONS", "NotifyContext", "build"]
