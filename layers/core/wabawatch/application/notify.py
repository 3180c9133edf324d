"""notify: fold what is pending into incidents, plan what each destination should hear, deliver it, record it.

The only writer of incidents. Everything it does can be done again: folding is idempotent, what was folded is due until
it has been looked at, and a notification is recorded only after it was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from wabawatch.application.lease import Lease
from wabawatch.application.planner import Planned
from wabawatch.application.ports import Clock, Notifier, Store
from wabawatch.application.round import SIGHT, Notified, Round, World
from wabawatch.domain.composition import Audience
from wabawatch.domain.health import Reason
from wabawatch.domain.incidents import Incident
from wabawatch.domain.rules import Rules

LEASE: Final = "notify"


class Notify:
    """Rounds of notify, one at a time whoever else is at it."""

    def __init__(
        self, store: Store, notifiers: Mapping[str, Notifier], clock: Clock, rules: Rules, audience: Audience
    ) -> None:
        self._world = World(store, notifiers, clock, rules, audience)

    def __call__(
        self,
        owner: str,
        *,
        troubles: Mapping[str, Reason | None] | None = None,
        complete: bool = False,
        until: datetime | None = None,
    ) -> Notified:
        """Do one round, unless somebody else is at it.

        `troubles` says what the caller knows of the monitor (`configuration`: a reason; None: all is well).
        `complete` tells that a pass over the whole fleet has just ended, so that waiting for company is needless.
        Raises StoreError where another notify took over meanwhile: what was sent and not recorded is sent again, with
        the same notification id."""
        lease = Lease(self._world.store, self._world.clock, LEASE, owner)
        if not lease.take():
            return Notified(worked=False)
        try:
            world = msgspec.structs.replace(self._world, keep_going=lease.keep)
            return Round(world, complete=complete, until=until)(troubles or {})
        finally:
            lease.release()

    def consider(self, incident: Incident) -> list[Planned]:
        """What each destination should hear of an incident now, and why; changes nothing."""
        world = self._world
        sight = world.store.latest_incidents([SIGHT]).get(SIGHT)
        return world.planner().consider(incident, world.outlook(world.steering(), world.backoff(), sight))


__all__ = ["LEASE", "SIGHT", "Notified", "Notify", "Planned"]
