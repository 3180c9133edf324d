"""The one codec: values to the bytes that every store keeps, and back.

A stored body is one byte that names the format, with the high bit set where the rest is deflated, and then msgpack. A
later format is refused with a SchemaError, never guessed at. Within a format, fields with defaults may be added; words
and the dictionary of texts may not change, because old bytes refer to them by position (tests hold bytes of each
format).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import msgspec

from wabawatch.adapters.stores import compact
from wabawatch.application.errors import SchemaError, StoreError
from wabawatch.domain.health import Observation
from wabawatch.domain.incidents import Incident
from wabawatch.domain.runs import Run
from wabawatch.domain.steering import Acknowledgement, Silence
from wabawatch.domain.transitions import Snapshot, Transition

FORMAT: Final = 1
_DEFLATED: Final = 0x80
_WORTH_DEFLATING: Final = 256
"""Bytes. A healthy snapshot stays below: its numbers do not shrink, and it is read most often."""

_TEXTS: Final = (
    b"because old_reasons proven run_id evidence target entity_type entity_id capabilities capability status since "
    b"observed_at report failure cause detail retry_after overall contradictions possible_solution description code "
    b"reasons can_receive_call_sip can_send_message health_status MESSAGE_TEMPLATE PHONE_NUMBER BUSINESS WABA APP "
    b"TARGET UNKNOWN LIMITED BLOCKED AVAILABLE"
)
"""What stored bodies are full of; the most frequent last, where deflate reaches them with the shortest codes."""

T = TypeVar("T", Snapshot, Transition, Observation, Incident, Run, Silence, Acknowledgement)

_TO_WIRE: Final[dict[type, Callable[[Any], object]]] = {
    Snapshot: compact.from_snapshot,
    Incident: compact.from_incident,
    Observation: compact.from_observation,
}
_FROM_WIRE: Final[dict[type, tuple[type, Callable[[Any], Any]]]] = {
    Snapshot: (compact.StoredSnapshot, compact.to_snapshot),
    Incident: (compact.StoredIncident, compact.to_incident),
    Observation: (compact.StoredObservation, compact.to_observation),
}
_encode: Final = msgspec.msgpack.Encoder().encode


def dump(value: Snapshot | Transition | Observation | Incident | Run | Silence | Acknowledgement) -> bytes:
    """The bytes to store."""
    to_wire = _TO_WIRE.get(type(value))
    body = _encode(to_wire(value) if to_wire else value)
    if len(body) >= _WORTH_DEFLATING and len(deflated := _deflate(body)) < len(body):
        return bytes((FORMAT | _DEFLATED,)) + deflated
    return bytes((FORMAT,)) + body


def load(kind: type[T], data: bytes) -> T:
    """The value that `dump` was given. Raises SchemaError for a later format, StoreError for what cannot be read."""
    what = kind.__name__.lower()
    if not data:
        raise StoreError(f"a stored {what} is empty: restore the state from a copy")
    if data[0] & ~_DEFLATED != FORMAT:
        raise SchemaError(
            f"a stored {what} has format {data[0] & ~_DEFLATED}, and this version of Wabawatch reads format {FORMAT}: "
            "upgrade Wabawatch to the version that wrote it"
        )
    wire: Any
    wire, to_value = _FROM_WIRE.get(kind, (kind, None))
    try:
        found = msgspec.msgpack.decode(_inflate(data) if data[0] & _DEFLATED else data[1:], type=wire)
        return cast("T", to_value(found) if to_value else found)
    except (msgspec.MsgspecError, zlib.error, ValueError, LookupError, OverflowError, RecursionError) as error:
        raise StoreError(f"a stored {what} cannot be read ({error}): restore the state from a copy") from error


def _deflate(body: bytes) -> bytes:
    squeeze = zlib.compressobj(6, wbits=-15, zdict=_TEXTS)
    return squeeze.compress(body) + squeeze.flush()


def _inflate(data: bytes) -> bytes:
    stretch = zlib.decompressobj(wbits=-15, zdict=_TEXTS)
    return stretch.decompress(memoryview(data)[1:]) + stretch.flush()
