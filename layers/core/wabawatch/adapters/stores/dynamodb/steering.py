"""What people say: silences and acknowledgements. One partition each: there are few, and notify reads them all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from wabawatch.adapters.stores.codec import dump, load
from wabawatch.adapters.stores.dynamodb.shapes import blob, body_of, expiry, item
from wabawatch.adapters.stores.dynamodb.table import Lost, Table, keyed
from wabawatch.domain.incidents import Incident
from wabawatch.domain.steering import Acknowledgement, Silence

SILENCE: Final = "SILENCE"
ACKNOWLEDGEMENT: Final = "ACK"
_KEPT: Final = timedelta(days=30)
"""What has ended is read every minute as long as it is kept, so it is not kept for the whole history."""


class Steering:
    """The part of the store that people write."""

    _table: Table
    _history: timedelta

    def save_silence(self, silence: Silence) -> None:
        ended = expiry(silence.ends_at + min(_KEPT, self._history))
        self._table.put(item((SILENCE, silence.id), body=blob(dump(silence)), expires_at=ended))

    def silences(self) -> list[Silence]:
        return [load(Silence, body_of(found)) for found in self._table.query(SILENCE)]

    def save_acknowledgement(self, acknowledgement: Acknowledgement) -> None:
        """Without an expiry, which comes when the incident ends."""
        self._table.put(item((ACKNOWLEDGEMENT, acknowledgement.incident), body=blob(dump(acknowledgement))))

    def acknowledgements(self) -> dict[str, Acknowledgement]:
        found = [load(Acknowledgement, body_of(one)) for one in self._table.query(ACKNOWLEDGEMENT)]
        return {acknowledgement.incident: acknowledgement for acknowledgement in found}


def let_expire(table: Table, ended: Sequence[Incident]) -> None:
    """Give the acknowledgements of incidents that ended, if there are any, their expiry. After a crash before this one
    stays for ever, which costs a fraction of a read unit."""

    def one(incident: Incident) -> None:
        at = (incident.resolved_at or incident.changed_at) + _KEPT
        try:
            table.call(
                "update_item",
                TableName=table.name,
                Key=keyed((ACKNOWLEDGEMENT, incident.id)),
                UpdateExpression="SET expires_at = :at",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":at": expiry(at)},
            )
        except Lost:
            return

    table.each(one, ended)
