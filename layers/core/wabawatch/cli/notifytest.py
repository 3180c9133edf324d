"""`notify-test`: a marked test through the real path."""

from __future__ import annotations

import secrets

import click

from wabawatch.application.delivery import Deliverer
from wabawatch.bootstrap import Monitor
from wabawatch.cli.completing import complete_destination
from wabawatch.cli.exits import NotNowError
from wabawatch.cli.options import Command, unknown
from wabawatch.cli.output import show, words
from wabawatch.cli.session import session
from wabawatch.domain.rehearsal import rehearsal
from wabawatch.errors import DeliveryError


@click.command(
    cls=Command,
    short_help="Deliver a marked test to a destination.",
    examples="""
    $ wabawatch notify-test ops
    $ wabawatch --stack wabawatch notify-test topic
    """,
)
@click.argument("destination", shell_complete=complete_destination)
def notify_test(destination: str) -> None:
    """Deliver a message that is marked as a test, as a real one would be. Nothing is recorded.

    Exit code 64: the destination refuses it, and somebody must act; 75: it may work later.
    """
    app = session().application(resolve=True)
    if destination not in app.notifiers:
        raise unknown("destination", destination, app.notifiers)
    trouble = try_destination(app, destination)
    if trouble is None:
        show(words(f"delivered to {destination}"))
        return
    said = f"{destination} did not take it: {trouble}"
    raise click.ClickException(said) if trouble.permanent else NotNowError(said)


def try_destination(app: Monitor, destination: str) -> DeliveryError | None:
    """Send the test; what went wrong, if anything did."""
    number = f"test-{secrets.token_hex(6)}"
    said = rehearsal(destination, app.audience.deployment, app.clock.now(), number, app.audience.advise)
    (attempt,) = Deliverer(app.notifiers, app.clock)([(said, {}, ())])
    return attempt.error
