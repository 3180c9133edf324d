"""Read the configuration again when it changes; keep the last good one while a new one is bad."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeVar

from wabawatch.application.ports import DocumentStore
from wabawatch.domain.health import Reason
from wabawatch.errors import ConfigurationError, UnavailableError, WabawatchError, describe_place

GOOD: Final = "configuration/good"
"""The document that says which version was the last good one."""
REMOVED: Final = "configuration/removed"
"""The document with the good version that `config push --remove` removed: after it, the document may be absent."""

_REPORTED_FAILURES: Final = 3
"""Failed reads in a row before it is reported that the configuration cannot be read."""
_ABSENT: Final = (
    "{}; it was there, and its last good version goes on: upload it again with `wabawatch config push FILE`, "
    "or, if the parameters shall apply instead, run `wabawatch config push --remove`"
)
_log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")


class MissingDocumentError(ConfigurationError):
    """The place can be read and holds no document."""


class Text(Protocol):
    """A text and its version."""

    @property
    def body(self) -> bytes: ...

    @property
    def version(self) -> str: ...


class Origin(Protocol):
    """A place that holds the configuration."""

    name: str

    def read(self, unless: str | None = None) -> Text | None:
        """Return the text; None while its version is still `unless`. Raises ConfigurationError or UnavailableError."""
        ...

    def version(self, version_id: str | None, mark: str) -> Text:
        """Return an earlier text. Raises ConfigurationError or UnavailableError."""
        ...


class ReloadableConfig(Generic[Parsed]):
    """A configuration that is read again when its document changes; the last good version stays in use while a new one
    is bad.

    `fallback` applies while the place holds no document: at first, and after an intended removal. `remember` False does
    not record which version was good."""

    def __init__(
        self,
        origin: Origin,
        parse: Callable[[bytes], Parsed],
        store: Callable[[], DocumentStore],
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
        """What is wrong with the text that was read last."""
        self._unread: ConfigurationError | UnavailableError | None = None
        """Why the last read failed."""
        self._failed_reads = 0
        self.value: Parsed | None = None
        self.version = ""

    def refresh(self) -> Reason | None:
        """Read the document if it changed; return what is wrong, or None. Raises ConfigurationError where no version
        was ever good.

        1. A text is parsed once; the result stays until the text changes.
        2. An unintended absence is reported at once; a place that cannot be read, after some reads in a row.
        3. While anything is wrong, the last good version is in use, whichever process saw it."""
        try:
            text = self._read()
        except (ConfigurationError, UnavailableError) as error:
            self._unread = error
            self._failed_reads += 1
        else:
            self._unread = None
            self._failed_reads = 0
            if text is not None:
                self._parse_once(text)
        if self._unread or self._bad:
            self._use_last_good()
        else:
            self._remember()
        trouble = self._trouble()
        return None if trouble is None else Reason(description="configuration", detail=str(trouble))

    def _read(self) -> Text | None:
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
        """Return whether only the fallback was ever good here, or `config push --remove` removed the document."""
        good = self._store().document(GOOD)
        return good in {None, self._mark_of_fallback} or self._store().document(REMOVED) == good

    def _parse_once(self, text: Text) -> None:
        """Parse a text once. The result is set together with `_seen`, so that an error in between leaves no text
        unparsed."""
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

    def _use_last_good(self) -> None:
        """Use the last good version, also in a new process or one that was idle meanwhile. Raises ConfigurationError
        where there is none."""
        good = (self._store().document(GOOD) or b"").decode()
        is_behind = self.value is None or self._remembered == self.version != good
        if good and is_behind:
            try:
                self._accept(self._good_text(good))
                self._remembered = good
                self._seen = self._seen if self._bad else None
            except (ConfigurationError, UnavailableError) as error:
                _log.warning("the last good configuration (%s) cannot be read: %s", good, error)
        trouble = self._bad or self._unread
        if self.value is None and trouble is not None:
            raise trouble

    def _good_text(self, mark: str) -> Text:
        if self._fallback is not None and mark == self._fallback.version:
            return self._fallback
        with configuration_border(self._origin.name):
            return self._origin.version(mark, mark)

    def _trouble(self) -> ConfigurationError | UnavailableError | None:
        if isinstance(self._unread, MissingDocumentError):
            return self._unread
        return self._bad or (self._unread if self._failed_reads >= _REPORTED_FAILURES else None)

    @property
    def _mark_of_fallback(self) -> bytes | None:
        return None if self._fallback is None else self._fallback.version.encode()


@contextmanager
def configuration_border(name: str) -> Iterator[None]:
    """Turn any error while a configuration is read into a ConfigurationError, so that the last good one stays in use.
    The text of an unexpected error is left out, because it may quote a secret; its place is logged."""
    try:
        yield
    except WabawatchError:
        raise
    except Exception as error:  # noqa: BLE001 - the border around one document
        what = f"unexpected {describe_place(error)}"
        _log.error("%s: %s", name, what)
        _log.debug("%s", "".join(traceback.format_tb(error.__traceback__)))
        raise ConfigurationError(f"{name}: {what}, a bug; write the configuration otherwise, and report it") from None


def record_removal(store: DocumentStore) -> None:
    """Record, before the document is deleted, that it may be absent after the present good version, so that no process
    reports the absence. After a crash in between the document stays in use; the record ends with the next good
    version."""
    good = store.document(GOOD)
    if good is not None:
        store.save_document(REMOVED, good)


def forget_removal(store: DocumentStore) -> None:
    """Withdraw the record, because the document was not deleted after all."""
    store.save_document(REMOVED, b"")
