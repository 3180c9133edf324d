"""Encode values to bytes for every store, and decode them.

A stored body is one byte that names the format, with the high bit set where the rest is deflated, and then msgpack. A
later format is refused with a SchemaError, never guessed at. Within a format, fields with defaults may be added at the
end of a value; the dictionary of texts may not change, because old bytes refer to it by position (tests hold bytes of
each format).
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from wabawatch.errors import SchemaError, StoreError

FORMAT: Final = 1
_DEFLATED: Final = 0x80
_WORTH_DEFLATING: Final = 128
"""Minimum bytes to deflate: smaller bodies do not shrink."""
_LEVEL: Final = 6
"""Of deflate: higher ones take twice the time and save some hundredths of such short texts."""

_TEXTS: Final = (
    b"because proven run_id evidence target entity_type entity_id capabilities capability status since "
    b"observed_at report failure cause detail retry_after overall contradictions possible_solution description code "
    b"reasons can_receive_call_sip can_send_message health_status MESSAGE_TEMPLATE PHONE_NUMBER BUSINESS WABA APP "
    b"TARGET UNKNOWN LIMITED BLOCKED AVAILABLE"
)
"""Frequent parts of stored bodies; the most frequent last, where deflate needs the shortest codes."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

T = TypeVar("T")
_encode: Final = msgspec.msgpack.Encoder().encode
_decoders: Final[dict[Any, msgspec.msgpack.Decoder[Any]]] = {}


def microseconds(at: datetime) -> int:
    """Return the microseconds since 1970, exact."""
    return (at - _EPOCH) // _MICROSECOND


def instant(stored: int) -> datetime:
    """Return the UTC time of exact microseconds since 1970."""
    return _EPOCH + stored * _MICROSECOND


def dump(value: object, deflate_from: int = _WORTH_DEFLATING) -> bytes:
    """Encode a value to the bytes to store; deflated from so many bytes on, if that makes it smaller."""
    body = _encode(value)
    if len(body) >= deflate_from and len(deflated := _deflate(body)) < len(body):
        return bytes((FORMAT | _DEFLATED,)) + deflated
    return bytes((FORMAT,)) + body


def load(kind: type[T], data: bytes) -> T:
    """Decode a body of `dump`. Raises SchemaError for a later format, StoreError for what cannot be read."""
    what = getattr(kind, "__name__", "row").lower()
    if not data:
        raise StoreError(f"a stored {what} is empty: restore the state from a copy")
    if data[0] & ~_DEFLATED != FORMAT:
        raise SchemaError(
            f"a stored {what} has format {data[0] & ~_DEFLATED}, and this version of Wabawatch reads format {FORMAT}: "
            "upgrade Wabawatch to the version that wrote it"
        )
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        found: T = decoder.decode(_inflate(data) if data[0] & _DEFLATED else data[1:])
    except (msgspec.MsgspecError, zlib.error, ValueError, OverflowError, RecursionError) as error:
        raise StoreError(f"a stored {what} cannot be read ({error}): restore the state from a copy") from error
    return found


def _deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(_LEVEL, wbits=-15, zdict=_TEXTS)
    return compressor.compress(body) + compressor.flush()


def _inflate(data: bytes) -> bytes:
    decompressor = zlib.decompressobj(wbits=-15, zdict=_TEXTS)
    body = decompressor.decompress(memoryview(data)[1:]) + decompressor.flush()
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("it is cut off, or something follows it")
    return body
