"""The program: its list of commands, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NoReturn

import click

from wabawatch import __version__
from wabawatch.cli.exits import discard_output, guarded
from wabawatch.cli.options import format_examples, shared, unknown

COMMANDS: Final = {
    "Watch": {
        "run": ("run", "Poll and notify until stopped; a live view on a terminal."),
        "probe": ("health", "Read one target once; change nothing."),
        "status": ("health", "Show every target now, the worst first."),
        "demo": ("simulate", "Watch the simulator's story: all in one, nothing to set up."),
        "simulate": ("simulate", "Serve a simulated health API."),
    },
    "Understand": {
        "incidents": ("incidents", "List what is open."),
        "history": ("incidents", "Show what happened, the latest first."),
        "explain": ("explain", "Tell why each destination was told, or was not."),
        "replay": ("replay", "Show what another policy would have told."),
    },
    "Steer": {
        "ack": ("steer", "Say that someone has it: reminders stop."),
        "silence": ("steer", "Mute by matchers, for a while."),
    },
    "Set up": {
        "config": ("configure", "Check, show and upload the configuration; try its routes."),
        "notify-test": ("notifytest", "Deliver a marked test to a destination."),
        "doctor": ("doctor", "Examine a deployment and say what to do."),
        "completion": ("completion", "Print the completion script for a shell."),
    },
}
"""By group: command → its module in this package, and its summary. A test compares these with the commands' own."""

_EXAMPLES: Final = """
$ wabawatch demo                                      # see it work, with nothing set up
$ D360_API_KEY=… wabawatch run                        # watch one real number
$ wabawatch --config fleet.yaml run --interval 5m     # watch a fleet
$ wabawatch --stack wabawatch status                  # read a deployed stack
"""


class Program(click.Group):
    """Loads a command when it is chosen."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(**options)
        self._places = {name: place for commands in COMMANDS.values() for name, place in commands.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self._places:
            return None
        module = import_module(f"wabawatch.cli.{self._places[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self._places and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise unknown("command", args[0], self._places)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """A reader that is gone (`| head`) is no bug: end in silence, as other programs do."""
        try:
            done: object = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            sys.exit(discard_output())
        return done

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for group, commands in COMMANDS.items():
            with formatter.section(group):
                formatter.write_dl([(name, summary) for name, (_, summary) in commands.items()], col_max=14)
        format_examples(_EXAMPLES, formatter)

    def main(self, *arguments: Any, **options: Any) -> NoReturn:  # noqa: ANN401 - click's own
        """As click's, but every error ends with our exit codes and one line."""
        options["standalone_mode"] = False
        inherited: Callable[..., Any] = super().main
        sys.exit(guarded(lambda: inherited(*arguments, **options)))


program = Program(
    name="wabawatch",
    params=[*shared(environment=True)],
    help="Watch the messaging health of WhatsApp Business numbers, and tell the people who must act: once for each "
    "cause, and without losing a change.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done (probe, status: 0 AVAILABLE, 1 LIMITED, 2 BLOCKED, 3 UNKNOWN), 64 usage or "
    "configuration, 70 a bug, 75 state or network not there for now, 130 interrupted.",
)
click.version_option(__version__, prog_name="wabawatch", message="%(prog)s %(version)s")(program)
