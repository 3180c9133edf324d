"""The command `config`: validate, show and upload the configuration, and test its routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from wabawatch.application.credentials import is_reference
from wabawatch.bootstrap import read_settings, remove, upload
from wabawatch.cli.commands.config_route_test import route_test
from wabawatch.cli.options import Command, Commands, as_json
from wabawatch.cli.output import document, show, words
from wabawatch.cli.session import Session, session
from wabawatch.cli.stack_checks import explain_bounds, refuse_unreadable_secrets
from wabawatch.config import Settings, canonical_json, effective
from wabawatch.errors import ConfigurationError
from wabawatch.messages.text import pluralize


@click.group(cls=Commands, short_help="Check, show and upload the configuration; test its routes.")
def config() -> None:
    """Check, show and upload the configuration; test its routes."""


@config.command(
    cls=Command,
    examples="""
    $ wabawatch config check fleet.yaml
    $ wabawatch config check fleet.yaml --elsewhere      # the secrets are on another machine
    """,
)
@click.argument("file", required=False)
@click.option("--elsewhere", is_flag=True, help="Do not check env: and file: references on this machine.")
def check(file: str | None, elsewhere: bool) -> None:
    """Validate FILE, or the current configuration. Each mistake is shown with its line and what to write instead. With
    --stack, references to secrets that the stack's functions may not read are mistakes, too.

    A note names valid values that exceed what this machine (with --stack: the deployment) can do."""
    settings, place = _settings(file, resolve=not elsewhere)
    refuse_unreadable_secrets(place, settings, session().found)
    parts = (
        pluralize(len(settings.targets), "target"),
        pluralize(len(settings.destinations), "destination"),
        pluralize(len(settings.routes), "route"),
    )
    show(words(f"{place}: valid; {', '.join(parts)}"))
    _warn(settings)


def _warn(settings: Settings) -> None:
    """Print notes on valid values that will not have the intended effect."""
    for note in explain_bounds(settings, session().found):
        show(words(f"note: {note}"))


def _settings(file: str | None, *, resolve: bool) -> tuple[Settings, str]:
    own = session()
    own.locate()
    place = file or own.config
    return read_settings(place, own.environment, resolve=resolve), place or "the environment"


@config.command(
    "show",
    cls=Command,
    examples="""
    $ wabawatch config show
    $ wabawatch --stack wabawatch config show --json
    """,
)
@as_json
def show_(as_json: bool) -> None:
    """Print the current configuration: all fields with their values, including defaults. References to secrets are
    shown; of URLs that may contain a secret only the host is shown."""
    settings, _ = _settings(None, resolve=False)
    redacted = _redacted(effective(settings))
    if as_json:
        document(redacted)
    else:
        import yaml  # noqa: PLC0415 - JSON needs none

        click.echo(yaml.safe_dump(redacted, sort_keys=False, allow_unicode=True, width=120), nl=False)


def _redacted(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Redact destinations and the heartbeat: their URLs may contain a token."""
    return {name: _hidden(value) if name in {"destinations", "heartbeat"} else value for name, value in plain.items()}


def _hidden(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return {name: _hidden(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_hidden(inner) for inner in value]
    if not isinstance(value, str) or "://" not in value or is_reference(value):
        return value
    parts = urlsplit(value)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}/…" if parts.path.strip("/") or parts.query or parts.username else value


@config.command(
    cls=Command,
    examples="""
    $ wabawatch --stack wabawatch config push fleet.yaml
    $ wabawatch config push fleet.yaml --to s3://my-bucket/config.json
    $ wabawatch --stack wabawatch config push --remove   # back to the number of the template's parameters
    """,
)
@click.argument("file", required=False)
@click.option(
    "--to", "location", metavar="s3://BUCKET/KEY", help="Upload location; by default that of the stack, or --config."
)
@click.option(
    "--remove",
    "is_removal",
    is_flag=True,
    help="Delete the uploaded configuration: the template's parameters apply again.",
)
def push(file: str | None, location: str | None, is_removal: bool) -> None:
    """Validate FILE and upload it. The functions load it in their next run. If they find a mistake that was not visible
    here, they keep the last good version.

    A configuration that is deleted without --remove is reported, and its last good version stays in use."""
    if (file is None) != is_removal:
        raise click.UsageError("specify the FILE to upload, or --remove", click.get_current_context())
    if file is not None and not Path(file).is_file():
        raise ConfigurationError(f"{file}: file not found")
    own = session()
    own.locate()
    target = location or own.config or ""
    if not target.startswith("s3://"):
        raise click.UsageError(
            "specify the location: --stack NAME, or --to s3://BUCKET/KEY", click.get_current_context()
        )
    if file is None:
        _remove(own, target)
    else:
        _upload(own, file, target)


def _remove(own: Session, target: str) -> None:
    if own.state is None:
        raise click.UsageError("specify the deployment: --stack NAME, or --state STATE", click.get_current_context())
    if own.found is not None:
        try:
            read_settings(None, own.environment, resolve=False)
        except ConfigurationError as error:
            raise ConfigurationError(
                "nothing was removed, because the stack's parameters alone are not a complete configuration;"
                " first deploy with ApiKeySecret"
            ) from error
    remove(target, own.application().store)
    show(words(f"{target}: removed; the parameters apply from the next run on"))


def _upload(own: Session, file: str, target: str) -> None:
    settings = read_settings(file, own.environment, local_secrets=False)
    refuse_unreadable_secrets(file, settings, own.found)
    version = upload(target, canonical_json(settings))
    show(words(f"{file}: valid; uploaded to {target}, version {version}"))
    _warn(settings)


@config.command(
    cls=Command,
    examples="""
    $ wabawatch config schema > wabawatch.schema.json
    """,
)
def schema() -> None:
    """Print the JSON Schema of the configuration. For completion and validation in an editor, make this the first line
    of the file: "# yaml-language-server: $schema=wabawatch.schema.json"."""
    from wabawatch.adapters.notifiers.registry import OPTIONS  # noqa: PLC0415 - no other command needs them
    from wabawatch.config.dump import render_schema  # noqa: PLC0415 - no other command needs it

    click.echo(render_schema(OPTIONS), nl=False)


config.add_command(route_test)
