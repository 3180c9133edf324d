"""The configuration as it goes on working: read when it changes; the last good one stays while a new one is bad."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeVar

from wabawatch.application.ports import Store
from wabawatch.domain.health import Reason
from wabawatch.errors import ConfigurationError, WabawatchError, describe_place

GOOD: Final = "configuration/good"
"""The document that says which version was the last good one."""
REMOVED: Final = "configuration/removed"
"""The document that says after which good version the configuration may be absent: somebody removed it on purpose."""

_FAILED_LOOKS: Final = 3
"""So many in a row before people hear that the configuration cannot be read: one alone is no news."""
_ABSENT: Final = (
    "{}; it was there, and its last good version goes on: upload it again with `wabawatch config push FILE`, "
    "or, if the parameters shall apply instead, run `wabawatch config push --remove`"
)
_log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")


class MissingDocumentError(ConfigurationError):
    """The place can be read and holds no document."""


class Text(Protocol):
    """A text and the mark by which it is known again."""

    @property
    def body(self) -> bytes: ...

    @property
    def version(self) -> str: ...


class Origin(Protocol):
    """A place that holds the configuration."""

    name: str

    def read(self, unless: str | None = None) -> Text | None:
        """The text; None while its mark is still `unless`. Raises ConfigurationError."""
        ...

    def version(self, version_id: str | None, mark: str) -> Text:
        """An earlier text. Raises ConfigurationError."""
        ...


class ReloadableConfig(Generic[Parsed]):
    """Settings that follow their document.

    `refresh` returns what is wrong while the last good version goes on working, or None. Where no version was ever good
    here, the error is raised: there is nothing to go on with. Who only looks does not `remember` what was good.

    `fallback` applies while the place holds no document: at first, and after a removal that was meant."""

    def __init__(
        self,
        origin: Origin,
        parse: Callable[[bytes], Parsed],
        store: Callable[[], Store],
        *,
        fallback: Text | None = None,
        remember: bool = True,
    ) -> None:
        self._origin = origin
        self._parse = parse
        self._store = store
        self._fallback = fallback
        self._remembers = remember
        self._remembered: str | None = None
        self._seen: str | None = None
        self._bad: ConfigurationError | None = None
        """What is wrong with the text that was seen last."""
        self._unread: ConfigurationError | None = None
        """Why the last look brought nothing."""
        self._failed_looks = 0
        self.value: Parsed | None = None
        self.version = ""

    def refresh(self) -> Reason | None:
        """Read the document if it changed, and say what is wrong.

        1. A text is judged once, and its verdict stays until there is another text.
        2. An absence that nobody meant is told at once; a place that cannot be read, after some looks in a row.
        3. While anything is wrong, the last good version is in use, whichever process saw it."""
        try:
            text = self._look()
        except ConfigurationError as error:
            self._unread = error
            self._failed_looks += 1
        else:
            self._unread = None
            self._failed_looks = 0
            if text is not None:
                self._judge(text)
        if self._unread or self._bad:
            self._go_back()
        else:
            self._remember()
        trouble = self._trouble()
        return None if trouble is None else Reason(description="configuration", detail=str(trouble))

    def _look(self) -> Text | None:
        try:
            with configuration_border(self._origin.name):
                return self._origin.read(self._seen)
        except MissingDocumentError as error:
            if self._fallback is None:
                raise
            if not self._may_be_absent():
                raise MissingDocumentError(_ABSENT.format(error)) from error
            return None if self._seen == self._fallback.version else self._fallback

    def _may_be_absent(self) -> bool:
        """Whether nothing was ever good here but the fallback, or somebody removed the document on purpose."""
        good = self._store().document(GOOD)
        return good in {None, self._mark_of_fallback} or self._store().document(REMOVED) == good

    def _judge(self, text: Text) -> None:
        """The verdict is set with the mark, so that no surprise in between leaves a text that nobody judged."""
        try:
            self._accept(text)
            self._bad = None
        except ConfigurationError as error:
            self._bad = error
        self._seen = text.version

    def _accept(self, text: Text) -> None:
        with configuration_border(self._origin.name):
            self.value = self._parse(text.body)
        self.version = text.version

    def _remember(self) -> None:
        if self._remembers and self._remembered != self.version:
            if self._store().document(GOOD) != self.version.encode():
                self._store().save_document(GOOD, self.version.encode())
            self._remembered = self.version

    def _go_back(self) -> None:
        """Take the version that was good the last time, in a fresh process or in one that has slept meanwhile. Raises
        what is wrong where there is nothing to go on with."""
        good = (self._store().document(GOOD) or b"").decode()
        is_behind = self.value is None or self._remembered == self.version != good
        if good and is_behind:
            try:
                self._accept(self._good_text(good))
                self._remembered = good
                self._seen = self._seen if self._bad else None
            except ConfigurationError as error:
                _log.warning("the last good configuration (%s) cannot be read: %s", good, error)
        trouble = self._bad or self._unread
        if self.value is None and trouble is not None:
            raise trouble

    def _good_text(self, mark: str) -> Text:
        if self._fallback is not None and mark == self._fallback.version:
            return self._fallback
        with configuration_border(self._origin.name):
            return self._origin.version(mark, mark)

    def _trouble(self) -> ConfigurationError | None:
        if isinstance(self._unread, MissingDocumentError):
            return self._unread
        return self._bad or (self._unread if self._failed_looks >= _FAILED_LOOKS else None)

    @property
    def _mark_of_fallback(self) -> bytes | None:
        return None if self._fallback is None else self._fallback.version.encode()


@contextmanager
def configuration_border(name: str) -> Iterator[None]:
    """Turn whatever goes wrong while a configuration is read into a ConfigurationError: the last good one goes on. The
    text of a surprise is left out, because it may quote a secret; its place is logged."""
    try:
        yield
    except WabawatchError:
        raise
    except Exception as error:  # noqa: BLE001 - the border around one document
        what = f"unexpected {describe_place(error)}"
        _log.error("%s: %s", name, what)
        _log.debug("%s", "".join(traceback.format_tb(error.__traceback__)))
        raise ConfigurationError(f"{name}: {what}, a bug; write the configuration otherwise, and report it") from None


def record_removal(store: Store) -> None:
    """Write down that the document after the present good version may be absent: before it is deleted, so that no
    process sees an absence that nobody meant. A crash in between leaves the document in force; once another version is
    good, the record excuses nothing."""
    good = store.document(GOOD)
    if good is not None:
        store.save_document(REMOVED, good)


def forget_removal(store: Store) -> None:
    """Take that back, because the document was not deleted after all."""
    store.save_document(REMOVED, b"")
