"""What the shell offers while somebody types: targets, destinations, incidents. Silent where they are not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

from wabawatch.bootstrap import Monitor
from wabawatch.cli.session import begin
from wabawatch.errors import WabawatchError
from wabawatch.messages.text import clean

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completer(names: Callable[[Monitor], Iterable[tuple[str, str]]]) -> Completer:
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del param
        try:
            known = list(names(begin(ctx).application()))
        except (WabawatchError, click.ClickException):
            return []
        return [CompletionItem(clean(name), help=clean(text)) for name, text in known if name.startswith(incomplete)]

    return complete


complete_target = _completer(lambda app: ((one.id, one.name) for one in app.settings.targets))
complete_destination = _completer(lambda app: ((name, one.kind) for name, one in app.settings.destinations.items()))
complete_incident = _completer(
    lambda app: ((one.id, f"{one.status} {one.entity_type} {one.entity_id}") for one in app.store.open_incidents())
)
complete_silence = _completer(lambda app: ((one.id, one.reason) for one in app.store.silences()))
