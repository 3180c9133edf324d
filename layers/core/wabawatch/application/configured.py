"""The configuration as it goes on working: read when it changes; the last good one stays while a new one is bad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from wabawatch.application.errors import ConfigurationError
from wabawatch.application.ports import Store
from wabawatch.domain.health import Reason

GOOD: Final = "configuration/good"
"""The document that says which version was the last good one."""

Parsed = TypeVar("Parsed")


class Text(Protocol):
    """A text and the mark by which it is known again."""

    @property
    def body(self) -> bytes: ...

    @property
    def version(self) -> str: ...


class Origin(Protocol):
    """A place that holds the configuration."""

    def read(self, unless: str | None = None) -> Text | None: ...

    def version(self, version_id: str | None, mark: str) -> Text: ...


class Configured(Generic[Parsed]):
    """Settings that follow their document.

    `refresh` returns what is wrong with the newest version while the last good one goes on working, or None. Where no
    version was ever good here, the error is raised: there is nothing to go on with. Who only looks does not `remember`
    what was good."""

    def __init__(
        self, origin: Origin, parse: Callable[[bytes], Parsed], store: Callable[[], Store], *, remember: bool = True
    ) -> None:
        self._origin = origin
        self._parse = parse
        self._store = store
        self._remembers = remember
        self._seen: str | None = None
        self._trouble: Reason | None = None
        self.value: Parsed | None = None
        self.version = ""

    def refresh(self) -> Reason | None:
        """Read the document if it changed."""
        try:
            text = self._origin.read(self._seen)
            if text is not None:
                self._seen = text.version
                self._accept(text)
                if self._remembers:
                    self._remember(text.version)
                self._trouble = None
        except ConfigurationError as error:
            self._trouble = Reason(description="configuration", detail=str(error))
            if self.value is None:
                self._go_back(error)
        return self._trouble

    def _accept(self, text: Text) -> None:
        self.value = self._parse(text.body)
        self.version = text.version

    def _remember(self, version: str) -> None:
        if self._store().document(GOOD) != version.encode():
            self._store().save_document(GOOD, version.encode())

    def _go_back(self, error: ConfigurationError) -> None:
        """A fresh process, and a bad document: fetch the version that was good the last time."""
        good = self._store().document(GOOD)
        if not good or good.decode() == self._seen:
            raise error
        try:
            self._accept(self._origin.version(good.decode(), good.decode()))
        except ConfigurationError:
            raise error from None
