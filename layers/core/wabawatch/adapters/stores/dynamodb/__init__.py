"""Store the state in one DynamoDB table, for any number of concurrent pollers. docs/storage.md describes the rows.

Costs, in read units (4 KB, consistent; half where a read may lag) and write units (1 KB; two for each in a transaction,
and the same again for each index that the item is in):

- A pass over 1,000 healthy targets that did not change: about 32 read units for their snapshots (a query of each bucket
  that may lag: the condition of the commit guards), and 2 write units for the run and its coverage.
- A change with transitions: 8 write units (snapshot 2, log row 4, pending change 2); without: 4.
- Folding it: 2 for the pending change, 2 for a member of a large incident, and once in a batch for each incident: 6 for
  a new one that is due at some time (4, and 2 for its key), 4 to 6 for one that changes, 10 for one that moves to what
  is done.
- Recording what was sent: 1 to 3 for each incident, which is written without a transaction.
- A notify with nothing to do: 8 read units for what is pending, 8 for what is due, and 1 for each of the queue, the
  coverage, the silences, the acknowledgements and what was set aside.
- The first row of a month by a process: 1 write unit.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from wabawatch.adapters.stores.dynamodb.bodies import Aside
from wabawatch.adapters.stores.dynamodb.incidents import Incidents
from wabawatch.adapters.stores.dynamodb.keys import Periods
from wabawatch.adapters.stores.dynamodb.records import Documents, Leases, NotificationQueue, OperatorActions, Runs
from wabawatch.adapters.stores.dynamodb.snapshots import Snapshots, TransitionLog
from wabawatch.adapters.stores.dynamodb.table import Table
from wabawatch.adapters.stores.dynamodb.transactions import MAX_ACTIONS

if TYPE_CHECKING:  # the stubs are not there at run time
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDBStore:
    """The Store port over one DynamoDB table, which template.yaml makes; `history` is how long the log is kept.

    It is composed of parts that share the table; its methods are theirs. Raises StoreError, with the operation, the
    table and advice, when DynamoDB refuses or cannot be reached; SchemaError for rows that a later version wrote."""

    fold_limit = MAX_ACTIONS

    def __init__(self, client: DynamoDBClient, table: str, history: timedelta) -> None:
        self._table = Table(client, table)
        periods = Periods(self._table, history)
        aside = Aside(self._table, periods, history)

        snapshots = Snapshots(self._table, aside, periods, history)
        self.snapshots = snapshots.find
        self.every_snapshot = snapshots.every
        self.commit = snapshots.commit

        runs = Runs(self._table, aside, periods, history)
        self.save_run = runs.save
        self.runs = runs.latest
        self.save_coverage = runs.save_coverage
        self.coverages = runs.coverages
        self.remove_coverage = runs.remove_coverage
        self.save_day = runs.save_day
        self.days = runs.days

        log = TransitionLog(self._table, aside, periods)
        self.pending = log.pending
        self.set_aside_change = log.set_aside
        self.set_aside = aside.since
        self.history = log.history
        self.observations = log.observations

        operator_actions = OperatorActions(self._table, aside, history)
        self.save_silence = operator_actions.save_silence
        self.silences = operator_actions.silences
        self.save_acknowledgement = operator_actions.save_acknowledgement
        self.acknowledgements = operator_actions.acknowledgements

        incidents = Incidents(self._table, aside, periods, operator_actions, history)
        self.fold = incidents.fold
        self.latest_incidents = incidents.latest
        self.generations = incidents.generations
        self.open_incidents = incidents.open
        self.due_incidents = incidents.due
        self.incident = incidents.find
        self.incidents_by_id = incidents.find_all
        self.incidents = incidents.recent
        self.save_incidents = incidents.save
        self.members = incidents.members
        self.members_of = incidents.members_of

        queue = NotificationQueue(self._table, aside)
        self.queue = queue.put
        self.queued = queue.every
        self.unqueue = queue.remove

        documents, leases = Documents(self._table, aside), Leases(self._table)
        self.document = documents.find
        self.save_document = documents.save
        self.acquire_lease = leases.acquire
        self.release_lease = leases.release

    def purge(self, before: datetime) -> int:  # noqa: ARG002  # the port's signature
        """Do nothing: DynamoDB expires items by itself."""
        return 0

    def close(self) -> None:
        self._table.close()
