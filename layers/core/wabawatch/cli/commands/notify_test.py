"""`notify-test`: a marked test through the real path."""

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
    raise click.ClickException(said) if trouble.permanent else TemporaryError(said)


def try_destination(app: Monitor, destination: str) -> DeliveryError | None:
    """Send a test, and return the error if there was one."""
    test_id = f"test-{secrets.token_hex(6)}"
    sample = build_sample(destination, app.audience.deployment, app.clock.now(), test_id, app.audience.advise)
    (attempt,) = Deliverer(app.notifiers, app.clock).run([DeliveryTask(sample)])
    return attempt.error
