"""State in one DynamoDB table, for any number of pollers at once.

Access patterns. Every item has `pk` and `sk`; two local indexes, `due` (pk, due) and `when` (pk, when), hold the whole
items that carry the attribute. They are local, and not global, because a local index can be read consistently: an
outbox that lags could fold a recovery before its problem. Nothing is ever scanned.

snapshot          pk SNAP#00 to SNAP#31, sk target; `v` the version, `body`
                  read: up to 32 by key, more by a query of each bucket
log row           pk LOG#0 to LOG#7, sk target#instant; `seen` the observation, `body` its transitions, `last` their
                  highest number; with transitions `when`, and `due` while they are pending
                  read: by `due` what is pending, by `when` the fleet's history, by sk one target's
incident          pk INCIDENT#0 to INCIDENT#3, sk id; `v`; `body`, or `parts` and `stamp`; `when` when it opened; `due`
                  when something may have to be told, `~` while it is open and nothing is due, absent when it is done
                  read: by key, by `due` those due or all open, by `when` the latest
latest            pk LATEST#0 to LATEST#f, sk digest of an incident's key; `incident` its id, `opened`
part              pk PART#0 to PART#3, sk owner#00; `stamp`, as in its head, and `body`
run               pk RUN, sk id#shard; `body`, `when` when it started; read by `when`
silence           pk SILENCE, sk id; `body`; all are read at once
acknowledgement   pk ACK, sk incident; `body`; all are read at once
lease             pk LEASE, sk name; `owner`, `ends_at` in microseconds
document          pk DOCUMENT, sk name; `body`, or `parts` and `stamp`

Instants in `when`, `due` and `sk` are ISO 8601, UTC, with microseconds, followed by what makes them unique. `by` names
the call that wrote an item. `expires_at` (seconds) is DynamoDB's time to live: history after the instant, run or
resolution; an incident that is open, or of which something is still to be told, has none.

Costs, in read units (4 KB, consistent) and write units (1 KB):
- A pass over 1,000 healthy targets that did not change: about 32 read units for their snapshots (0.5 for each 4 KB of a
  bucket, read eventually consistent: the condition of the commit guards), nothing written.
- A change: one transaction of two items, 4 write units, and 4 more for the indexes when it has transitions.
- A notify with nothing to do: 8 read units for the outbox, 4 for what is due, and a few for steering and documents.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from wabawatch.adapters.stores.dynamodb.fleet import Fleet
from wabawatch.adapters.stores.dynamodb.incidents import Incidents
from wabawatch.adapters.stores.dynamodb.log import Log
from wabawatch.adapters.stores.dynamodb.running import Running
from wabawatch.adapters.stores.dynamodb.steering import Steering
from wabawatch.adapters.stores.dynamodb.table import Table

if TYPE_CHECKING:  # the stubs are not there at run time
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoStore(Fleet, Log, Incidents, Steering, Running):
    """The Store port over one DynamoDB table, which template.yaml makes; `history` is how long the log is kept.

    Raises StoreError, which names the operation and the table and says what to do, when DynamoDB refuses or cannot be
    reached; SchemaError for what a later version of Wabawatch wrote.
    """

    def __init__(self, client: DynamoDBClient, table: str, history: timedelta) -> None:
        self._table = Table(client, table)
        self._history = history

    def purge(self, before: datetime) -> int:  # noqa: ARG002  # the port's signature
        """Nothing: DynamoDB expires items by itself."""
        return 0

    def close(self) -> None:
        self._table.close()
