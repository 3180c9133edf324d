"""Store silences and acknowledgements. Each kind has one partition: there are few, and notify reads all of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from wabawatch.adapters.stores.codec import dump
from wabawatch.adapters.stores.dynamodb.aside import ACKNOWLEDGEMENT, SILENCE, Aside
from wabawatch.adapters.stores.dynamodb.keys import expiry
from wabawatch.adapters.stores.dynamodb.table import ConditionFailed, Table, blob, item, keyed, name_of
from wabawatch.domain.incident import Incident
from wabawatch.domain.silence import Acknowledgement, Silence

_SILENCE: Final = "SILENCE"
_ACKNOWLEDGEMENT: Final = "ACK"
_SILENCES_KEPT: Final = timedelta(days=30)
"""Ended silences are read every minute while they are kept, so they are not kept for the whole history."""


class OperatorActions:
    """Silences and acknowledgements."""

    def __init__(self, table: Table, aside: Aside, history: timedelta) -> None:
        self._table = table
        self._aside = aside
        self._kept = min(history, _SILENCES_KEPT)

    def save_silence(self, silence: Silence) -> None:
        ended = expiry(silence.ends_at + self._kept)
        self._table.put(item((_SILENCE, silence.id), body=blob(dump(silence)), expires_at=ended))

    def silences(self) -> list[Silence]:
        return list(self._aside.decode_all(SILENCE, self._table.query(_SILENCE), name_of))

    def save_acknowledgement(self, acknowledgement: Acknowledgement) -> None:
        """Save without an expiry, which is set when the incident ends."""
        self._table.put(item((_ACKNOWLEDGEMENT, acknowledgement.incident), body=blob(dump(acknowledgement))))

    def acknowledgements(self) -> dict[str, Acknowledgement]:
        found = self._aside.decode_all(ACKNOWLEDGEMENT, self._table.query(_ACKNOWLEDGEMENT), name_of)
        return {acknowledgement.incident: acknowledgement for acknowledgement in found}

    def let_expire(self, incidents: Iterable[Incident]) -> None:
        """Set the expiry of acknowledgements of finished incidents. After a crash before this, one stays for ever,
        which costs a fraction of a read unit."""
        done = {incident.id: incident for incident in incidents if incident.is_done}
        if not done:
            return
        rows = [found["sk"]["S"] for found in self._table.query(_ACKNOWLEDGEMENT) if "expires_at" not in found]
        self._table.each(self._let_expire, [done[name] for name in rows if name in done])

    def _let_expire(self, incident: Incident) -> None:
        at = (incident.resolved_at or incident.changed_at) + self._kept
        try:
            self._table.call(
                "update_item",
                TableName=self._table.name,
                Key=keyed((_ACKNOWLEDGEMENT, incident.id)),
                UpdateExpression="SET expires_at = :at",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":at": expiry(at)},
            )
        except ConditionFailed:
            return
