"""A destination that misbehaves in every way that a notifier can report."""

# ruff: noqa: ARG002 - it has the signature of the port

from wabawatch.application.ports import Receipt
from wabawatch.errors import DeliveryError, DeliveryErrorKind

MODES = ("works", "fails", "asks to wait", "hangs", "is dead", "loses responses", "refuses digests", "refuses some")


class Destination:
    """Keeps what it took. `mode` is one of MODES; `refused` names the entities of which it takes no message."""

    kind = "fake"

    def __init__(self, wait):
        self.mode = "works"
        self.refused = frozenset()
        self.taken = []
        self.failures = 0
        self.failed_last = False
        self.meanwhile = []
        """Called, one for each delivery, before it is answered."""
        self.has_said_that_it_is_dead = False
        self._wait = wait

    def deliver(self, notification, thread):
        if self.meanwhile:
            self.meanwhile.pop(0)()
        try:
            receipt = self._answer(notification)
        except DeliveryError:
            self.failures += 1
            self.failed_last = True
            raise
        self.failed_last = False
        return receipt

    def _answer(self, notification):
        if self.mode == "fails":
            raise DeliveryError("HTTP 503")
        if self.mode == "asks to wait":
            raise DeliveryError("HTTP 429", retry_after=300)
        if self.mode == "hangs":
            self._wait(seconds=40)
            raise DeliveryError("no answer", is_answered=False)
        if self.mode == "is dead":
            self.has_said_that_it_is_dead = True
            raise DeliveryError("invalid_token", DeliveryErrorKind.DESTINATION)
        if self._refuses(notification):
            raise DeliveryError("invalid_payload", DeliveryErrorKind.MESSAGE)
        self.taken.append(notification)
        self.has_said_that_it_is_dead = False
        if self.mode == "loses responses":
            raise DeliveryError("connection reset", is_answered=False)
        return Receipt({"ts": str(len(self.taken))})

    def _refuses(self, notification):
        if self.mode == "refuses digests":
            return notification.kind == "digest"
        return self.mode == "refuses some" and any(one.entity_id in self.refused for one in notification.subjects)

    def mend(self):
        self.mode = "works"

    @property
    def words(self):
        """What it was told, in order: (notification, subject)."""
        return [(one, subject) for one in self.taken for subject in one.subjects]
