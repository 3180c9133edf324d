"""What several commands share: options, argument types, help with examples, completion, errors with suggestions.

Imported when the program starts: modules that load slowly are imported inside the functions.
"""

from __future__ import annotations

import difflib
import getpass
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from wabawatch.cli.session import configure_logging, open_session
from wabawatch.errors import WabawatchError

if TYPE_CHECKING:
    from wabawatch.monitor import Monitor

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line breaks, and surrogates: Python decodes bytes that are not UTF-8 to surrogates."""
_MAX_SUGGESTIONS: Final = 10

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _store_shared_option(context: click.Context, option: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click passes any type
    opened = open_session(context)
    if option.name == "verbose":
        opened.verbose = max(opened.verbose, value)
        configure_logging(opened.verbose)
    elif value is not None:
        name = option.name or ""
        setattr(opened, name, value)
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            opened.typed.add(name)


def shared_options(*, environment: bool) -> list[click.Parameter]:
    """Return the options that every command accepts, before and after its name.

    Only the program itself reads environment variables, so that a variable can't override an option typed before the
    command's name."""

    def option(name: str, metavar: str, text: str) -> click.Option:
        variable = f"WABAWATCH_{name.upper()}" if environment else None
        return click.Option(
            [f"--{name}"],
            metavar=metavar,
            help=text,
            envvar=variable,
            show_envvar=True,
            expose_value=False,
            callback=_store_shared_option,
        )

    verbose = click.Option(
        ["-v", "--verbose"],
        count=True,
        help="Log progress to standard error; -vv logs details.",
        expose_value=False,
        callback=_store_shared_option,
    )
    return [
        option("state", "sqlite:PATH|dynamodb:TABLE", "The state store; by default a file in your state directory."),
        option("config", "PATH|s3://BUCKET/KEY", "The configuration; by default D360_API_KEY defines a single target."),
        option("stack", "NAME", "A deployed stack: sets its state, configuration and region."),
        verbose,
    ]


class Command(click.Command):
    """A command with the shared options, and examples in its help."""

    def __init__(self, *arguments: Any, examples: str = "", **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*arguments, **options)
        self.examples = examples
        self.params.extend(shared_options(environment=False))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        format_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


class Commands(click.Group):
    """A group of commands that accepts the shared options too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*arguments, **options)
        self.params.extend(shared_options(environment=False))


def format_examples(examples: str, formatter: click.HelpFormatter) -> None:
    """Write the examples without wrapping their lines."""
    if examples:
        with formatter.section("Examples"):
            for line in examples.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")


def as_json(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document (a stable format).")(function)


def author_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --author; by default the logged-in user."""
    return click.option("--author", type=Line(), default=_login_name, show_default="you", help="Your name.")(function)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the user ID has no name, as in some containers
        return "unknown"


def end_time(duration: timedelta | None, until: datetime | None, start: datetime) -> datetime | None:
    """Return the end that --for or --until sets, or None. Raise UsageError if it is not after `start`."""
    context = click.get_current_context()
    if duration is not None and until is not None:
        raise click.UsageError("--for and --until exclude each other", context)
    ends_at = start + duration if duration is not None else until
    if ends_at is not None and ends_at <= start:
        raise click.UsageError("the end must be in the future and after the start", context)
    return ends_at


def unknown(what: str, name: str, known: Iterable[str]) -> click.UsageError:
    """Return an error about an unknown name that suggests the nearest known name."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    if near:
        hint = f"did you mean {near[0]}?"
    elif names:
        hint = f"known: {', '.join(names[:_MAX_SUGGESTIONS])}{', …' if len(names) > _MAX_SUGGESTIONS else ''}"
    else:
        hint = "there are none"
    return click.UsageError(f"no {what} {name!r}; {hint}", click.get_current_context())


class Duration(click.ParamType[timedelta]):
    """A duration above zero: `90s`, `5m`, `1h30m`, `2d`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401
        if isinstance(value, timedelta):
            return value
        duration = _parse_duration(value)
        if not duration:
            self.fail(f"{value!r} is not a duration; write 30s, 5m, 1h30m or 2d", param, ctx)
        return duration


class Instant(click.ParamType[datetime]):
    """An ISO 8601 date or time (UTC by default), or an age such as `2h`. With `ahead`, `2h` is in the future."""

    name = "time"

    def __init__(self, *, ahead: bool = False) -> None:
        self._sign = 1 if ahead else -1

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401
        if isinstance(value, datetime):
            return value
        duration = _parse_duration(value)
        if duration is not None:
            return datetime.now(UTC) + self._sign * duration
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; write 2026-03-01T09:30Z, 2026-03-01 or 2h", param, ctx)
        return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)


def _parse_duration(text: str) -> timedelta | None:
    from wabawatch.config.scalars import parse_duration  # noqa: PLC0415 - help needs no configuration

    try:
        return parse_duration(text)
    except ValueError:
        return None


class Line(click.ParamType[str]):
    """One line of text without control characters: it is stored, and shown in many places."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        if _CONTROL.search(value):
            self.fail("contains a control character or a line break; write one line of plain text", param, ctx)
        return str(value)


class Pair(click.ParamType[tuple[str, str]]):
    """A label: `KEY=VALUE`."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:  # noqa: ANN401
        if isinstance(value, tuple):
            return value
        key, equals, label = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not a label; write team=support", param, ctx)
        Line().convert(value, param, ctx)
        return key, label


def _completer(list_names: Callable[[Monitor], Iterable[tuple[str, str]]]) -> Completer:
    """Return a function that completes names for the shell; without a usable configuration it offers nothing."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del param
        from wabawatch.messages.text import sanitize  # noqa: PLC0415 - for completion only

        try:
            known = list(list_names(open_session(ctx).application()))
        except (WabawatchError, click.ClickException):
            return []
        return [
            CompletionItem(sanitize(name), help=sanitize(text)) for name, text in known if name.startswith(incomplete)
        ]

    return complete


complete_target = _completer(lambda app: ((target.id, target.name) for target in app.settings.targets))
complete_destination = _completer(
    lambda app: ((name, destination.kind) for name, destination in app.settings.destinations.items())
)
complete_incident = _completer(
    lambda app: (
        (incident.id, f"{incident.status} {incident.entity_type} {incident.entity_id}")
        for incident in app.store.open_incidents()
    )
)
complete_silence = _completer(lambda app: ((silence.id, silence.reason) for silence in app.store.silences()))
