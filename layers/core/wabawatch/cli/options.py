"""What all commands share: their options, the examples in their help, refusals that offer the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.core import ParameterSource

from wabawatch.cli.session import begin, configure_logging


def _remember(context: click.Context, option: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click hands on any type
    opened = begin(context)
    if option.name == "verbose":
        opened.verbose = max(opened.verbose, value)
        configure_logging(opened.verbose)
    elif value is not None:
        name = option.name or ""
        setattr(opened, name, value)
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            opened.typed.add(name)


def shared(*, environment: bool) -> list[click.Parameter]:
    """The options that every command takes, before its name and after it. Only the program itself reads the
    environment, so that what was typed before the command's name is not overridden by a variable after it."""

    def option(name: str, metavar: str, text: str) -> click.Option:
        variable = f"WABAWATCH_{name.upper()}" if environment else None
        return click.Option(
            [f"--{name}"],
            metavar=metavar,
            help=text,
            envvar=variable,
            show_envvar=True,
            expose_value=False,
            callback=_remember,
        )

    verbose = click.Option(
        ["-v", "--verbose"],
        count=True,
        help="Log to standard error what is done; twice: in detail.",
        expose_value=False,
        callback=_remember,
    )
    return [
        option(
            "state", "sqlite:PATH|dynamodb:TABLE", "Where state is kept; a file in your state directory by default."
        ),
        option("config", "PATH|s3://BUCKET/KEY", "The configuration; without one, D360_API_KEY makes a small one."),
        option("stack", "NAME", "A deployed stack: finds its state, configuration and region."),
        verbose,
    ]


class Command(click.Command):
    """A command with the shared options, help that keeps its examples' lines, and Ctrl-C that means 130."""

    def __init__(self, *arguments: Any, examples: str = "", **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*arguments, **options)
        self.examples = examples
        self.params.extend(shared(environment=False))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        format_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


class Commands(click.Group):
    """A command that has commands; takes the shared options too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*arguments, **options)
        self.params.extend(shared(environment=False))


def format_examples(examples: str, formatter: click.HelpFormatter) -> None:
    if examples:
        with formatter.section("Examples"):
            for line in examples.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")


def as_json(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document; its shape is public.")(
        function
    )


def unknown(what: str, name: str, known: Iterable[str]) -> click.UsageError:
    """A refusal that offers the nearest name."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    if near:
        hint = f"did you mean {near[0]}?"
    else:
        hint = f"known: {', '.join(names[:10])}{', …' if len(names) > 10 else ''}" if names else "none is known"  # noqa: PLR2004
    return click.UsageError(f"no {what} {name!r}; {hint}", click.get_current_context())
