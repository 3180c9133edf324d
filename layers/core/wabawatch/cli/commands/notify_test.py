"""The command `notify-test`: deliver a test message to a destination."""

from __future__ import annotations

import secrets

import click

from wabawatch.application.delivery import Deliverer, DeliveryTask
from wabawatch.cli.exit_codes import TemporaryError
from wabawatch.cli.options import Command, complete_destination, unknown
from wabawatch.cli.output import show, words
from wabawatch.cli.session import session
from wabawatch.errors import DeliveryError
from wabawatch.messages.notification import build_sample
from wabawatch.monitor import Monitor


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
    """Deliver a message that is marked as a test, in the same way as an alert. Nothing is recorded.

    Exit code: 0 delivered, 64 refused by the destination, 75 a temporary error.
    """
    app = session().application(resolve=True)
    if destination not in app.notifiers:
        raise unknown("destination", destination, app.notifiers)
    error = try_destination(app, destination)
    if error is None:
        show(words(f"delivered to {destination}"))
        return
    said = f"{destination} did not accept it: {error}"
    raise click.ClickException(said) if error.permanent else TemporaryError(said)


def try_destination(app: Monitor, destination: str) -> DeliveryError | None:
    """Send a test; return the error, or None."""
    test_id = f"test-{secrets.token_hex(6)}"
    sample = build_sample(destination, app.audience.deployment, app.clock.now(), test_id, app.audience.advise)
    (attempt,) = Deliverer(app.notifiers, app.clock).run([DeliveryTask(sample)])
    return attempt.error
